// Forward: samples are loaded into lanes, stepped, judged and observed, as march.py does for a whole batch.
#pragma once

#include <cfloat>
#include <cmath>

#include "chunk.h"

inline void Chunk::march() {
    for (;;) {
        int idle = 0;
        for (const Lane& l : lane) idle += !l.active();
        // A first slope costs an evaluation of all lanes: wait until half of them can use it.
        if (next < last && 2 * idle >= LANES) {
            refill();
            continue;
        }
        if (idle == LANES) return;
        step();
    }
}

// ---- new samples

inline void Chunk::refill() {
    Record record{};
    record.is_first = true;
    record.saved = space(1);
    V* input = record.saved;
    V* state = input + field.first_y();
    for (int d = 0; d < dim; d++) state[d] = y[d];
    for (int l = 0; l < LANES; l++) {
        record.sample[l] = -1;
        if (lane[l].active() || next >= last) continue;
        const int sample = next++;
        if (!load(lane[l], sample)) {  // its span is empty
            l--;
            continue;
        }
        record.sample[l] = sample;
        record.moved[l] = true;
        for (int d = 0; d < dim; d++) state[d][l] = y[d][l] = p.y0[size_t(sample) * dim + d];
    }
    for (int l = 0; l < LANES; l++) record.t0[l] = lane[l].t;
    set_time(input, record.t0);
    const V* slope = field.evaluate(input);
    bool any = false;
    for (int l = 0; l < LANES; l++) {
        if (!record.moved[l]) continue;
        any = true;
        bool finite = true;
        if (record.sample[l] == p.probe)
            for (int d = 0; d < dim; d++) p.first_slope[d] = slope[d][l];
        for (int d = 0; d < dim; d++) {
            k1[d][l] = slope[d][l];
            finite &= std::isfinite(slope[d][l]);
        }
        if (!finite) {
            lane[l].verdict = NONFINITE;
            record.moved[l] = false;
            for (int d = 0; d < dim; d++) k1[d][l] = y[d][l] = 0;
        }
    }
    if (!any) return;
    if (adaptive()) first_steps(record);
    for (int l = 0; l < LANES; l++)
        if (record.sample[l] >= 0 && lane[l].verdict != ON_ITS_WAY) finish(lane[l]);
    if (p.record) tape.push_back(record);
}

inline bool Chunk::load(Lane& l, int sample) {
    l = Lane();
    l.sample = sample;
    l.t = time(sample, 0);
    l.end = time(sample, int(p.times) - 1);
    l.sign = l.end < l.t ? -1 : 1;
    l.h = l.end - l.t;
    if (p.step_size > 0) l.fixed_steps = std::max(1, int(std::ceil(std::abs(l.h) / p.step_size - 1e-6)));
    while (l.seen < p.times && time(sample, l.seen) == l.t) {
        if (asked(sample, l.seen)) std::memcpy(observed(sample, l.seen), p.y0 + size_t(sample) * dim, 4 * dim);
        l.seen++;
    }
    if (l.h != 0) return true;
    l.verdict = OK;
    finish(l);
    return false;
}

inline void Chunk::finish(Lane& l) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (int index = l.seen; index < p.times; index++)
        if (asked(l.sample, index)) std::fill_n(observed(l.sample, index), dim, nan);
    int64_t* counts = p.counts + size_t(l.sample) * 3;
    counts[0] = l.accepted;
    counts[1] = l.rejected;
    counts[2] = l.verdict;
    p.lengths[size_t(l.sample) * 2] = l.smallest;
    p.lengths[size_t(l.sample) * 2 + 1] = l.largest;
    l.sample = -1;
}

// Hairer, Norsett, Wanner, Solving ODEs I, II.4, as in controller.py.
inline void Chunk::first_steps(const Record& record) {
    V d0{}, d1{}, d2{};
    for (int d = 0; d < dim; d++) {
        const V scale = float(p.atol) + float(p.rtol) * absolute(y[d]);
        const V state = y[d] / scale, slope = k1[d] / scale;
        d0 += state * state;
        d1 += slope * slope;
    }
    double guess[LANES], t[LANES];
    V nudge{};
    for (int l = 0; l < LANES; l++) {
        t[l] = lane[l].t;
        guess[l] = 0;
        if (!record.moved[l]) continue;
        const double size = std::sqrt(d0[l] / dim), speed = std::sqrt(d1[l] / dim);
        guess[l] = size < 1e-5 || speed < 1e-5 ? 1e-6 : 0.01 * size / speed;
        guess[l] = std::min(guess[l], std::abs(lane[l].h));
        nudge[l] = float(guess[l] * lane[l].sign);
        t[l] += guess[l] * lane[l].sign;
    }
    V* input = scratch.data();
    for (int d = 0; d < dim; d++) input[field.first_y() + d] = y[d] + nudge * k1[d];
    set_time(input, t);
    const V* moved = field.evaluate(input);
    for (int d = 0; d < dim; d++) {
        const V change = (moved[d] - k1[d]) / (float(p.atol) + float(p.rtol) * absolute(y[d]));
        d2 += change * change;
    }
    for (int l = 0; l < LANES; l++) {
        if (!record.moved[l]) continue;
        const double speed = std::sqrt(d1[l] / dim);
        const double bend = std::sqrt(d2[l] / dim) / std::max(guess[l], 1e-30);
        const double largest = std::max(speed, bend);
        const double second = largest <= 1e-15 ? std::max(guess[l] * 1e-3, 1e-6)
                                               : std::pow(0.01 / largest, 1.0 / double(p.order + 1));
        const double h = std::min(std::min(100 * guess[l], second), std::abs(lane[l].h));
        lane[l].h = std::isfinite(h) ? h * lane[l].sign : 0.0;
    }
}

// ---- one trial step of all lanes

inline double Chunk::stop_of(Lane& l) const {
    if (p.step_size > 0) {
        const double start = time(l.sample, 0);
        return l.fixed + 1 >= l.fixed_steps ? l.end : start + double(l.fixed + 1) / l.fixed_steps * (l.end - start);
    }
    if (!adaptive() || p.lands) {
        // Masked times repeat the one before, so the next unseen time is ahead, or the end.
        return time(l.sample, std::min(l.seen, int(p.times) - 1));
    }
    return l.end;
}

inline void Chunk::step() {
    Record record{};
    V h{};
    double stop[LANES] = {}, length[LANES] = {}, stage_time[LANES];
    bool lands[LANES] = {};
    for (int l = 0; l < LANES; l++) {
        Lane& now = lane[l];
        record.sample[l] = now.sample;
        record.t0[l] = record.t1[l] = now.t;
        if (!now.active()) continue;
        stop[l] = stop_of(now);
        const double remaining = stop[l] - now.t;
        lands[l] = !adaptive() || std::abs(now.h) * 1.1 >= std::abs(remaining);
        length[l] = lands[l] ? remaining : now.h;
        h[l] = float(length[l]);
    }
    record.h = h;
    record.saved = space(stages);
    std::copy(k1.begin(), k1.end(), slopes.begin());
    const V* y1 = nullptr;
    for (int stage = 1; stage <= stages; stage++) {
        V* input = record.saved + size_t(stage - 1) * saved;
        V* state = input + field.first_y();
        combine(p.a + stage * (stages + 1), stage, h, y.data(), state);
        for (int l = 0; l < LANES; l++) stage_time[l] = record.t0[l] + p.c[stage] * length[l];
        set_time(input, stage_time);
        const V* slope = field.evaluate(input);
        std::copy(slope, slope + dim, slopes.begin() + size_t(stage) * dim);
        y1 = state;
    }
    double norm[LANES] = {};
    error_norms(h, y1, norm);
    bool any = false;
    for (int l = 0; l < LANES; l++) {
        if (!lane[l].active()) continue;
        record.moved[l] = judge(lane[l], norm[l], length[l], lands[l], stop[l]);
        if (!record.moved[l]) continue;
        any = true;
        record.t1[l] = lane[l].t;
        record.seen_from[l] = lane[l].seen;
        observe(lane[l], l, record, y1);
        record.seen_to[l] = lane[l].seen;
        for (int d = 0; d < dim; d++) {
            y[d][l] = y1[d][l];
            k1[d][l] = slopes[size_t(stages) * dim + d][l];
        }
        if (lane[l].t == lane[l].end) lane[l].verdict = OK;
    }
    for (int l = 0; l < LANES; l++)
        if (lane[l].active() && lane[l].verdict != ON_ITS_WAY) {
            finish(lane[l]);
            for (int d = 0; d < dim; d++) y[d][l] = k1[d][l] = 0;  // an idle lane stays finite
        }
    if (p.record && any) tape.push_back(record);
}

inline void Chunk::combine(const double* row, int count, V h, const V* start, V* out) const {
    for (int d = 0; d < dim; d++) {
        V sum{};
        for (int m = 0; m < count; m++)
            if (row[m] != 0) sum += slopes[size_t(m) * dim + d] * float(row[m]);
        out[d] = start[d] + h * sum;
    }
}

inline void Chunk::error_norms(V h, const V* y1, double* norm) const {
    V total{};
    for (int d = 0; d < dim; d++) {
        // NaN unless the new state and its slope are finite, which a bounded error would not show.
        const V end = y1[d] + slopes[size_t(stages) * dim + d];
        total += end - end;
    }
    for (int d = 0; adaptive() && d < dim; d++) {
        V error{};
        for (int m = 0; m <= stages; m++)
            if (p.error[m] != 0) error += slopes[size_t(m) * dim + d] * float(p.error[m]);
        const V tolerance = float(p.atol) + float(p.rtol) * maximum(absolute(y[d]), absolute(y1[d]));
        const V ratio = h * error / tolerance;
        total += ratio * ratio;
    }
    for (int l = 0; l < LANES; l++) norm[l] = std::sqrt(total[l] / dim);
}

// Accepts or rejects, and sets the next step; as iterate() in march.py.
inline bool Chunk::judge(Lane& l, double norm, double length, bool lands, double stop) const {
    if (!adaptive()) {
        if (!std::isfinite(norm)) {
            l.verdict = NONFINITE;
            l.rejected++;
            return false;
        }
        l.t = stop;
        l.fixed++;
        l.accepted++;
        remember(l, std::abs(length));
        return true;
    }
    const bool finite = std::isfinite(norm), accept = norm <= 1;
    const double now = std::max(norm, 1e-10);
    double factor = p.safety * std::pow(now, -(p.p + p.i + p.d) / double(p.order));
    if (p.p + 2 * p.d != 0) factor *= std::pow(std::max(l.norm, 1e-10), (p.p + 2 * p.d) / double(p.order));
    if (p.d != 0) factor *= std::pow(std::max(l.norm_before, 1e-10), -p.d / double(p.order));
    if (!finite) factor = p.min_factor;
    factor = std::min(std::max(factor, p.min_factor), accept ? p.max_factor : 1.0);
    const double proposal = length * factor;
    if (accept) {
        l.h = lands && std::abs(proposal) < std::abs(l.h) ? l.h : proposal;
        l.t = lands ? stop : l.t + length;
        l.norm_before = l.norm;
        l.norm = norm;
        l.accepted++;
        remember(l, std::abs(length));
    } else {
        l.h = proposal;
        l.rejected++;
        const double begin = time(l.sample, 0), late = std::max(std::abs(begin), std::abs(l.end));
        const double finest = std::max(p.epsilon * std::abs(l.end - begin), DBL_EPSILON * late);
        if (std::abs(proposal) <= 4 * finest) l.verdict = finite ? STEP_TOO_SMALL : NONFINITE;
    }
    if (l.verdict == ON_ITS_WAY && l.accepted + l.rejected >= p.max_steps && l.t != l.end) l.verdict = MAX_STEPS;
    return accept;
}

inline void Chunk::remember(Lane& l, double length) {
    l.smallest = std::min(l.smallest, length);
    l.largest = std::max(l.largest, length);
}

// ---- dense output

inline void Chunk::weights_at(double theta, double h, double* weight) const {
    for (int m = 0; m <= stages; m++) {
        double sum = 0;
        for (int k = int(p.degree) - 1; k >= 0; k--) sum = sum * theta + p.dense[m * p.degree + k];
        weight[m] = h * sum * theta;
    }
}

inline void Chunk::observe(Lane& l, int index, const Record& record, const V* y1) {
    const double t0 = record.t0[index], t1 = record.t1[index];
    for (; l.seen < p.times; l.seen++) {
        const double t = time(l.sample, l.seen);
        if (t * l.sign > t1 * l.sign) return;
        if (!asked(l.sample, l.seen)) continue;
        float* out = observed(l.sample, l.seen);
        if (t == t1) {
            for (int d = 0; d < dim; d++) out[d] = y1[d][index];
            continue;
        }
        double weight[MAX_STAGES + 1];
        weights_at((t - t0) / (t1 - t0), t1 - t0, weight);
        for (int d = 0; d < dim; d++) {
            float sum = 0;
            for (int m = 0; m <= stages; m++) sum += float(weight[m]) * slopes[size_t(m) * dim + d][index];
            out[d] = y[d][index] + sum;
        }
    }
}
