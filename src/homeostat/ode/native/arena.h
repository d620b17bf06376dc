// Memory for tapes. Blocks are kept for the next solve, because fresh pages cost more than the arithmetic on them.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#include "lanes.h"

constexpr size_t BLOCK = size_t(1) << 19;

inline void* allocate(size_t bytes) {
    void* block = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!block) throw std::bad_alloc();
    return block;
}

struct Pool {
    static constexpr size_t KEPT = 512;  // 256 MB
    std::mutex lock;
    std::vector<void*> blocks;

    void* take() {
        {
            std::lock_guard<std::mutex> guard(lock);
            if (!blocks.empty()) {
                void* block = blocks.back();
                blocks.pop_back();
                return block;
            }
        }
        return allocate(BLOCK);
    }

    void give(void* block) {
        {
            std::lock_guard<std::mutex> guard(lock);
            if (blocks.size() < KEPT) {
                blocks.push_back(block);
                return;
            }
        }
        std::free(block);
    }
};

inline Pool pool;

struct Arena {
    std::vector<void*> blocks, large;
    size_t used = BLOCK;

    Arena() = default;
    Arena(const Arena&) = delete;
    ~Arena() {
        for (void* block : blocks) pool.give(block);
        for (void* block : large) std::free(block);
    }

    V* take(size_t bytes) {
        if (bytes > BLOCK) {
            large.push_back(allocate(bytes));
            return static_cast<V*>(large.back());
        }
        if (used + bytes > BLOCK) {
            blocks.push_back(pool.take());
            used = 0;
        }
        V* place = reinterpret_cast<V*>(static_cast<char*>(blocks.back()) + used);
        used += bytes;
        return place;
    }
};
