// Samples that share sixteen lanes, their tape, and the records on it.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "arena.h"
#include "field.h"
#include "weights.h"

constexpr int CHUNK = 32;
constexpr int MAX_STAGES = 16;

struct Record {  // what a step, or the first slope of fresh samples, leaves for the backward pass
    bool is_first;
    bool moved[LANES];
    int sample[LANES];
    int seen_from[LANES], seen_to[LANES];  // observations passed over
    double t0[LANES], t1[LANES];
    V h;
    V* saved;  // one evaluation, or `stages` of them
};

struct Lane {
    int sample = -1, seen = 0, fixed = 0, fixed_steps = 0, verdict = ON_ITS_WAY;
    int64_t accepted = 0, rejected = 0;
    double t = 0, end = 0, sign = 1, h = 0, norm = 1, norm_before = 1;
    double smallest = std::numeric_limits<double>::infinity(), largest = 0;
    bool active() const { return sample >= 0; }
};

struct Chunk {
    const Problem& p;
    const Field& field;
    int first, last, next;
    Arena arena;
    std::vector<Record> tape;
    std::vector<WeightGradient> weights;
    Lane lane[LANES];
    std::vector<V> y, k1, slopes, scratch;
    int dim, stages, saved;

    Chunk(const Problem& problem, const Field& f, int begin, int end)
        : p(problem), field(f), first(begin), last(end), next(begin) {
        dim = int(p.dim);
        stages = int(p.stages);
        saved = field.width;
        y.assign(dim, V{});
        k1.assign(dim, V{});
        slopes.assign(size_t(stages + 1) * dim, V{});
        scratch.assign(size_t(saved) * stages, V{});
    }

    bool adaptive() const { return p.step_size < 0; }
    float* observed(int sample, int index) const { return p.ys + (size_t(sample) * p.times + index) * dim; }
    double time(int sample, int index) const { return p.t[size_t(sample) * p.times + index]; }
    bool asked(int sample, int index) const { return p.mask[size_t(sample) * p.times + index]; }

    V* space(int evaluations) { return p.record ? arena.take(sizeof(V) * saved * evaluations) : scratch.data(); }

    void set_time(V* input, const double* t) const {
        if (field.time_row < 0) return;
        V& row = input[field.time_row];
        for (int l = 0; l < LANES; l++) row[l] = float(t[l]);
    }

    // forward, in march.h
    void march();
    void refill();
    bool load(Lane& l, int sample);
    void finish(Lane& l);
    void first_steps(const Record& record);
    double stop_of(Lane& l) const;
    void step();
    void combine(const double* row, int count, V h, const V* start, V* out) const;
    void error_norms(V h, const V* y1, double* norm) const;
    bool judge(Lane& l, double norm, double length, bool lands, double stop) const;
    static void remember(Lane& l, double length);
    void weights_at(double theta, double h, double* weight) const;
    void observe(Lane& l, int index, const Record& record, const V* y1);

    // backward, in pull.h
    const float* grad_ys = nullptr;
    float* grad_y0 = nullptr;
    std::vector<V> gy, gk1, gk, g_in, g_out;
    std::vector<V> g_before;
    void pull();
    void add_start(int sample, float* out) const;
    void pull_first(const Record& record);
    void pull_step(const Record& record);
    void spread(const double* row, int count, int d, V g);
    void pull_observations(const Record& record, int l);
    const V* pull_field(const V* record, const V* gradient, const bool* keep);
    static void pull_activation(const Layer& layer, const V* record, const V* output, V* g);
};
