// Solves y' = f(t, y) for a batch, where f is a chain of linear layers, and pulls gradients back through the steps.
//
// Sixteen samples travel side by side, one in each lane of a vector, so every operation below acts on sixteen
// independent solves with their own times, steps and verdicts. A lane whose sample has ended takes the next sample
// of its chunk. Chunks depend on the batch alone, never on the number of threads: results are equal bit for bit for
// any number of threads, and a sample's result does not depend on the samples beside it.
//
// To be read in this order: lanes, activation, field, chunk, march (forward), pull (backward), weights. Compiled on
// first use and called through ctypes by native.py, which mirrors Problem.

#include <atomic>
#include <vector>

#include "chunk.h"
#include "march.h"
#include "pull.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

struct Solve {
    Problem problem;
    Field field;
    std::vector<Chunk*> chunks;
    std::vector<double> a, c, error, dense, t;
    std::vector<uint8_t> mask;

    template <class T>
    static void own(std::vector<T>& copy, const T*& pointer, size_t count) {
        if (!pointer) return;
        copy.assign(pointer, pointer + count);
        pointer = copy.data();
    }

    explicit Solve(const Problem& p) : problem(p), field(p) {
        const size_t slopes = size_t(p.stages) + 1, cells = size_t(p.batch) * p.times;
        own(a, problem.a, slopes * slopes);
        own(c, problem.c, slopes);
        own(error, problem.error, slopes);
        own(dense, problem.dense, slopes * p.degree);
        own(t, problem.t, cells);
        own(mask, problem.mask, cells);
        for (int begin = 0; begin < p.batch; begin += CHUNK)
            chunks.push_back(new Chunk(problem, field, begin, std::min(begin + CHUNK, int(p.batch))));
    }
    ~Solve() {
        for (Chunk* chunk : chunks) delete chunk;
    }
};

EXPORT void* homeostat_solve(const Problem* p) {
    Solve* solve = new Solve(*p);
    const int count = int(solve->chunks.size());
    std::atomic<bool> exhausted{false};
#pragma omp parallel for schedule(dynamic, 1) num_threads(int(p->threads))
    for (int index = 0; index < count; index++) {
        try {
            solve->chunks[index]->march();
        } catch (const std::bad_alloc&) {
            exhausted = true;
        }
    }
    *p->exhausted = exhausted;
    if (p->record && !exhausted) return solve;
    delete solve;
    return nullptr;
}

// grad_y0 (batch x dim) starts as zeros; weight and bias gradients are overwritten.
EXPORT void homeostat_pull(void* handle, const float* grad_ys, float* grad_y0, float* const* weight,
                               float* const* bias) {
    Solve* solve = static_cast<Solve*>(handle);
    const int count = int(solve->chunks.size());
#pragma omp parallel for schedule(dynamic, 1) num_threads(int(solve->problem.threads))
    for (int index = 0; index < count; index++) {
        Chunk& chunk = *solve->chunks[index];
        chunk.grad_ys = grad_ys;
        chunk.grad_y0 = grad_y0;
        chunk.weights.clear();
        chunk.pull();
    }
    // In the order of the chunks, so that the sum does not depend on who finished first.
    for (size_t l = 0; l < solve->field.layers.size(); l++) {
        const Layer& layer = solve->field.layers[l];
        std::fill_n(weight[l], size_t(layer.in) * layer.out, 0.0f);
        if (bias[l]) std::fill_n(bias[l], layer.out, 0.0f);
        for (Chunk* chunk : solve->chunks) {
            const WeightGradient& sum = chunk->weights[l];
            for (int j = 0; j < layer.out; j++) {
                const float* row = reinterpret_cast<const float*>(&sum.weight[size_t(j) * sum.in_pad]);
                for (int i = 0; i < layer.in; i++) weight[l][size_t(j) * layer.in + i] += row[i];
                if (bias[l]) bias[l][j] += reinterpret_cast<const float*>(sum.bias.data())[j];
            }
        }
    }
}

EXPORT void homeostat_release(void* handle) { delete static_cast<Solve*>(handle); }
EXPORT int64_t homeostat_problem_bytes() { return int64_t(sizeof(Problem)); }
