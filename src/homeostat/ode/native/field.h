// The vector field: a chain of linear layers, evaluated for sixteen samples at a time.
#pragma once

#include <algorithm>
#include <vector>

#include "activation.h"
#include "lanes.h"
#include "problem.h"

struct Layer {
    int in, out, activation;
    int before = -1;              // where an evaluation saves the activation's input, if its slope needs it
    std::vector<float> forward;   // tiles of outputs: [out / TILE][in][TILE]
    std::vector<float> backward;  // tiles of inputs: [in / TILE][out][TILE]
    std::vector<float> bias;
};

struct Field {
    std::vector<Layer> layers;
    int dim, time_row, width;     // width: vectors saved per evaluation, the inputs of every layer and the output
    int rows_out;                 // padded width of the widest layer

    explicit Field(const Problem& p) : dim(int(p.dim)), time_row(int(p.time_row)) {
        width = 0;
        rows_out = TILE;
        for (int l = 0; l < p.layers; l++) {
            Layer layer;
            layer.in = int(p.widths[l]);
            layer.out = int(p.widths[l + 1]);
            layer.activation = int(p.activation[l]);
            const int in = round_up(layer.in, TILE), out = round_up(layer.out, TILE);
            layer.forward.assign(size_t(out) * layer.in, 0.0f);
            layer.backward.assign(size_t(in) * layer.out, 0.0f);
            layer.bias.assign(out, 0.0f);
            for (int j = 0; j < layer.out; j++) {
                if (p.bias[l]) layer.bias[j] = p.bias[l][j];
                for (int i = 0; i < layer.in; i++) {
                    const float w = p.weight[l][j * layer.in + i];
                    layer.forward[(size_t(j / TILE) * layer.in + i) * TILE + j % TILE] = w;
                    layer.backward[(size_t(i / TILE) * layer.out + j) * TILE + i % TILE] = w;
                }
            }
            width += in;
            rows_out = std::max(rows_out, std::max(in, out));
            layers.push_back(std::move(layer));
        }
        width += round_up(dim, TILE);
        for (Layer& layer : layers)
            if (slope_needs_input(layer.activation)) {
                layer.before = width;
                width += round_up(layer.out, TILE);
            }
    }

    int first_y() const { return time_row == 0 ? 1 : 0; }

    // `saved` holds the inputs of every layer in turn, the first one filled by the caller, then the output, then
    // the inputs of those activations whose slope needs them.
    V* evaluate(V* saved) const {
        V* x = saved;
        for (const Layer& layer : layers) {
            V* z = x + round_up(layer.in, TILE);
            for (int j = 0; j < layer.out; j += TILE) {
                V sum[TILE];
                for (int k = 0; k < TILE; k++) sum[k] = broadcast(layer.bias[j + k]);
                const float* w = &layer.forward[size_t(j) * layer.in];
                for (int i = 0; i < layer.in; i++, w += TILE)
                    for (int k = 0; k < TILE; k++) sum[k] += x[i] * w[k];
                if (layer.before >= 0) std::copy(sum, sum + TILE, saved + layer.before + j);
                for (int k = 0; k < TILE; k++) z[j + k] = activate(sum[k], layer.activation);
            }
            x = z;
        }
        return x;
    }
};

// Gradient of a layer's input from that of its output.
inline void multiply_transposed(const Layer& layer, const V* g, V* gx) {
    for (int i = 0; i < layer.in; i += TILE) {
        V sum[TILE] = {};
        const float* w = &layer.backward[size_t(i) * layer.out];
        for (int j = 0; j < layer.out; j++, w += TILE)
            for (int k = 0; k < TILE; k++) sum[k] += g[j] * w[k];
        for (int k = 0; k < TILE; k++) gx[i + k] = sum[k];
    }
}
