// Backward: the tape is walked from its end, and every step hands its gradients to what it was made of.
#pragma once

#include "chunk.h"

inline void Chunk::pull() {
    for (const Layer& layer : field.layers) weights.emplace_back(layer);
    gy.assign(dim, V{});
    gk1.assign(dim, V{});
    gk.assign(size_t(stages + 1) * dim, V{});
    g_in.assign(field.rows_out, V{});
    g_out.assign(field.rows_out, V{});
    // Samples without a record (empty spans, failures at the start) still see y0 at their first times.
    for (int sample = first; sample < last; sample++) add_start(sample, grad_y0 + size_t(sample) * dim);
    for (size_t index = tape.size(); index-- > 0;) {
        if (tape[index].is_first) pull_first(tape[index]);
        else pull_step(tape[index]);
    }
    for (WeightGradient& weight : weights) weight.flush();
}

inline void Chunk::add_start(int sample, float* out) const {
    for (int index = 0; index < p.times && time(sample, index) == time(sample, 0); index++)
        if (asked(sample, index)) {
            const float* g = grad_ys + (size_t(sample) * p.times + index) * dim;
            for (int d = 0; d < dim; d++) out[d] += g[d];
        }
}

inline void Chunk::pull_first(const Record& record) {
    const V* gx = pull_field(record.saved, gk1.data(), record.moved);
    for (int l = 0; l < LANES; l++) {
        if (record.sample[l] < 0) continue;
        float* out = grad_y0 + size_t(record.sample[l]) * dim;
        for (int d = 0; d < dim; d++) {
            if (record.moved[l]) out[d] += gy[d][l] + gx[d][l];
            gy[d][l] = gk1[d][l] = 0;
        }
    }
}

inline void Chunk::pull_step(const Record& record) {
    I moved{};
    for (int l = 0; l < LANES; l++) moved[l] = record.moved[l] ? -1 : 0;
    const V zero{};
    std::fill(gk.begin(), gk.end(), zero);
    std::vector<V>& before = g_before;
    before.assign(dim, zero);
    for (int d = 0; d < dim; d++) gk[size_t(stages) * dim + d] = moved ? gk1[d] : zero;
    for (int l = 0; l < LANES; l++)
        if (record.moved[l]) pull_observations(record, l);
    // The end slope sees y1; then every stage sees the state before the step and the slopes before it.
    const V* gx = pull_field(record.saved + size_t(stages - 1) * saved, &gk[size_t(stages) * dim], record.moved);
    const double* b = p.a + stages * (stages + 1);
    for (int d = 0; d < dim; d++) {
        const V g1 = moved ? gy[d] + gx[d] : zero;
        before[d] += g1;
        spread(b, stages, d, record.h * g1);
    }
    for (int stage = stages - 1; stage >= 1; stage--) {
        gx = pull_field(record.saved + size_t(stage - 1) * saved, &gk[size_t(stage) * dim], record.moved);
        const double* row = p.a + stage * (stages + 1);
        for (int d = 0; d < dim; d++) {
            const V g = moved ? gx[d] : zero;
            before[d] += g;
            spread(row, stage, d, record.h * g);
        }
    }
    for (int d = 0; d < dim; d++) {
        gy[d] = moved ? before[d] : gy[d];
        gk1[d] = moved ? gk[d] : gk1[d];
    }
}

inline void Chunk::spread(const double* row, int count, int d, V g) {
    for (int m = 0; m < count; m++)
        if (row[m] != 0) gk[size_t(m) * dim + d] += g * float(row[m]);
}

inline void Chunk::pull_observations(const Record& record, int l) {
    const int sample = record.sample[l];
    const double t0 = record.t0[l], t1 = record.t1[l];
    for (int index = record.seen_from[l]; index < record.seen_to[l]; index++) {
        if (!asked(sample, index)) continue;
        const float* g = grad_ys + (size_t(sample) * p.times + index) * dim;
        const double t = time(sample, index);
        if (t == t1) {
            for (int d = 0; d < dim; d++) gy[d][l] += g[d];
            continue;
        }
        double weight[MAX_STAGES + 1];
        weights_at((t - t0) / (t1 - t0), t1 - t0, weight);
        for (int d = 0; d < dim; d++) {
            g_before[d][l] += g[d];
            for (int m = 0; m <= stages; m++) gk[size_t(m) * dim + d][l] += float(weight[m]) * g[d];
        }
    }
}

// Gradient of the field's input at a saved evaluation; weights collect their share from the lanes in `keep`.
inline const V* Chunk::pull_field(const V* record, const V* gradient, const bool* keep) {
    int kept = 0;
    for (int l = 0; l < LANES; l++) kept += keep[l];
    const int depth = int(field.layers.size());
    const V* x = record;
    for (const Layer& layer : field.layers) x += round_up(layer.in, TILE);
    V* g = g_out.data();
    V* gx = g_in.data();
    for (int d = 0; d < dim; d++) g[d] = gradient[d];
    pull_activation(field.layers.back(), record, x, g);
    for (int l = depth - 1; l >= 0; l--) {
        const Layer& layer = field.layers[l];
        x -= round_up(layer.in, TILE);
        if (kept) weights[l].add(x, g, keep, kept);
        multiply_transposed(layer, g, gx);
        if (l > 0) pull_activation(field.layers[l - 1], record, x, gx);
        std::swap(g, gx);
    }
    return g + field.first_y();
}

inline void Chunk::pull_activation(const Layer& layer, const V* record, const V* output, V* g) {
    const V* input = layer.before >= 0 ? record + layer.before : output;
    for (int j = 0; j < layer.out; j++) g[j] *= slope_of(output[j], input[j], layer.activation);
}
