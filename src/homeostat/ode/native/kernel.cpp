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
#include <memory>
#include <vector>
#ifndef _OPENMP
#include <thread>
#endif

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

// Work on every chunk, on up to `threads` threads; false when memory ran out.
template <class Work>
bool for_each_chunk(Solve& solve, Work work) {
    const int count = int(solve.chunks.size()), threads = int(solve.problem.threads);
    std::atomic<bool> exhausted{false};
    const auto guarded = [&](int index) {
        try {
            work(*solve.chunks[index]);
        } catch (const std::bad_alloc&) {
            exhausted = true;
        }
    };
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int index = 0; index < count; index++) guarded(index);
#else
    std::atomic<int> next{0};
    const auto run = [&] {
        for (int index; (index = next++) < count;) guarded(index);
    };
    std::vector<std::thread> others;
    try {
        for (int t = 1; t < std::min(threads, count); t++) others.emplace_back(run);
    } catch (const std::exception&) {  // no more threads are to be had: those that run do the work
    }
    run();
    for (std::thread& other : others) other.join();
#endif
    return !exhausted;
}

EXPORT void* homeostat_solve(const Problem* p) {
    *p->exhausted = true;
    try {
        std::unique_ptr<Solve> solve(new Solve(*p));
        *p->exhausted = !for_each_chunk(*solve, [](Chunk& chunk) { chunk.march(); });
        return p->record && !*p->exhausted ? solve.release() : nullptr;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

// grad_y0 (batch x dim) starts as zeros; weight and bias gradients are overwritten. Zero when memory ran out.
EXPORT int64_t homeostat_pull(void* handle, const float* grad_ys, float* grad_y0, float* const* weight,
                              float* const* bias) {
    Solve* solve = static_cast<Solve*>(handle);
    const bool whole = for_each_chunk(*solve, [&](Chunk& chunk) {
        chunk.grad_ys = grad_ys;
        chunk.grad_y0 = grad_y0;
        chunk.weights.clear();
        chunk.pull();
    });
    if (!whole) return 0;
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
    return 1;
}

EXPORT void homeostat_release(void* handle) { delete static_cast<Solve*>(handle); }
EXPORT int64_t homeostat_problem_bytes() { return int64_t(sizeof(Problem)); }

// An activation and its slope at `count` inputs, a multiple of LANES, for tests to compare with torch's.
EXPORT void homeostat_activate(const float* input, float* output, float* slope, int64_t count, int64_t kind) {
    for (int64_t i = 0; i < count; i += LANES) {
        V z;
        std::memcpy(&z, input + i, sizeof(V));
        const V a = activate(z, int(kind)), s = slope_of(a, z, int(kind));
        std::memcpy(output + i, &a, sizeof(V));
        std::memcpy(slope + i, &s, sizeof(V));
    }
}
