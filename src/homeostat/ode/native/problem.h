// What native.py asks for: pointers into its tensors, valid during the call. Mirrored there, field by field.
#pragma once

#include <cstdint>

// Outcomes shared with result.py.
enum Verdict { ON_ITS_WAY = -1, OK = 0, MAX_STEPS = 1, NONFINITE = 2, STEP_TOO_SMALL = 3 };

struct Problem {
    int64_t batch, dim, times;
    int64_t layers;
    const int64_t* widths;          // layers + 1
    const float* const* weight;     // (out, in) each
    const float* const* bias;
    const int64_t* activation;      // after each layer
    int64_t time_row;               // where t stands in the first layer's input, or -1
    int64_t stages;
    const double* a;                // (stages + 1) x (stages + 1): row i makes stage i; the last row is the step
    const double* c;
    const double* error;            // stages + 1, or null
    const double* dense;            // (stages + 1) x degree
    int64_t degree, order, lands;
    double rtol, atol, safety, min_factor, max_factor, p, i, d;
    double step_size;               // negative: adaptive; zero: from observation to observation
    double epsilon;                 // of the times that the field is given
    int64_t max_steps, record, threads;
    int64_t probe;                  // the sample whose first slope is told
    const float* y0;
    const double* t;                // batch x times, monotone
    const uint8_t* mask;
    float* ys;                      // batch x times x dim, zeros
    int64_t* counts;                // batch x (accepted, rejected, verdict)
    double* lengths;                // batch x (smallest, largest)
    float* first_slope;             // dim: f at the start of the probe, for the caller to check
    uint8_t* exhausted;             // set when memory ran out; nothing else is valid then
};
