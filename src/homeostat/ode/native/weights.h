// Gradients of the weights: rows of (gradient, input) are collected and multiplied many at a time.
#pragma once

#include <utility>
#include <vector>

#include "field.h"

// Lane `lane` of a riffle of a and b in runs of `stride`, as an index into a followed by b.
constexpr int riffled(int lane, int stride, bool high) {
    const int run = lane / stride;
    return run / 2 * stride * 2 + lane % stride + (high ? stride : 0) + (run % 2 ? LANES : 0);
}

template <int STRIDE, bool HIGH, int... LANE>
V riffle(V a, V b, std::integer_sequence<int, LANE...>) {
#if defined(__clang__) || __GNUC__ >= 12
    return __builtin_shufflevector(a, b, riffled(LANE, STRIDE, HIGH)...);
#else
    return __builtin_shuffle(a, b, I{riffled(LANE, STRIDE, HIGH)...});
#endif
}

template <int STRIDE>
void transpose_pass(V* rows) {
    for (int base = 0; base < LANES; base += 2 * STRIDE)
        for (int k = base; k < base + STRIDE; k++) {
            V a = rows[k], b = rows[k + STRIDE];
            rows[k] = riffle<STRIDE, false>(a, b, std::make_integer_sequence<int, LANES>());
            rows[k + STRIDE] = riffle<STRIDE, true>(a, b, std::make_integer_sequence<int, LANES>());
        }
}

inline void transpose(V* rows) {
    transpose_pass<8>(rows);
    transpose_pass<4>(rows);
    transpose_pass<2>(rows);
    transpose_pass<1>(rows);
}

struct WeightGradient {
    static constexpr int ROWS = 192;
    int in, out, in_pad, out_pad, rows = 0;
    std::vector<V> weight, bias, inputs, gradients;

    explicit WeightGradient(const Layer& layer) : in(layer.in), out(layer.out) {
        in_pad = round_up(in, LANES) / LANES;
        out_pad = round_up(out, LANES) / LANES;
        weight.assign(size_t(out_pad) * LANES * in_pad, V{});
        bias.assign(out_pad, V{});
        inputs.resize(size_t(ROWS) * in_pad);
        gradients.resize(size_t(ROWS) * out_pad);
    }

    static void gather(const V* columns, int count, V* rows, int pad, const bool* keep) {
        for (int block = 0; block < pad; block++) {
            V square[LANES];
            for (int k = 0; k < LANES; k++) square[k] = block * LANES + k < count ? columns[block * LANES + k] : V{};
            transpose(square);
            V* row = rows + block;
            for (int lane = 0; lane < LANES; lane++)
                if (keep[lane]) {
                    *row = square[lane];
                    row += pad;
                }
        }
    }

    void add(const V* x, const V* g, const bool* keep, int kept) {
        if (rows + kept > ROWS) flush();
        gather(x, in, &inputs[size_t(rows) * in_pad], in_pad, keep);
        gather(g, out, &gradients[size_t(rows) * out_pad], out_pad, keep);
        rows += kept;
    }

    void flush() {
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < out_pad; j++) bias[j] += gradients[size_t(r) * out_pad + j];
        const float* g = reinterpret_cast<const float*>(gradients.data());
        for (int j = 0; j < round_up(out, TILE); j += TILE) {
            int i = 0;
            for (; i + 2 <= in_pad; i += 2) block<2>(g + j, j, i);
            if (i < in_pad) block<1>(g + j, j, i);
        }
        rows = 0;
    }

    template <int WIDE>
    void block(const float* g, int j, int i) {
        V sum[TILE][WIDE];
        for (int k = 0; k < TILE; k++)
            for (int w = 0; w < WIDE; w++) sum[k][w] = weight[size_t(j + k) * in_pad + i + w];
        const V* x = &inputs[i];
        for (int r = 0; r < rows; r++, x += in_pad, g += out_pad * LANES)
            for (int k = 0; k < TILE; k++)
                for (int w = 0; w < WIDE; w++) sum[k][w] += x[w] * g[k];
        for (int k = 0; k < TILE; k++)
            for (int w = 0; w < WIDE; w++) weight[size_t(j + k) * in_pad + i + w] = sum[k][w];
    }
};
