// Aligned memory, and its division into named slices.
#pragma once
#include <cstdint>

#include "platform.hpp"
#include "simd.hpp"

namespace fembed::FEMBED_ISA {

FEMBED_INLINE int64_t padded(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

inline void clear(float* to, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] = 0.0f;
}

inline void add(float* __restrict to, const float* __restrict from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] += from[i];
}

// Aligned memory, released when it leaves its scope.
struct Buffer {
    float* data = nullptr;
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { release(); }
    float* grow(int64_t count) {  // growing discards the contents
        if (count > capacity) {
            release();
            data = static_cast<float*>(allocate_aligned(size_t(count) * sizeof(float)));
            capacity = count;
        }
        return data;
    }

   private:
    int64_t capacity = 0;
    void release() {
        free_aligned(data);
        data = nullptr;
        capacity = 0;
    }
};

// Consecutive panels, each of `rows` features x PANEL pairs; null if the model does not have them.
struct Panels {
    float* data = nullptr;
    int64_t rows = 0;
    explicit operator bool() const { return data != nullptr; }
    float* at(int64_t panel) const { return data ? data + panel * rows * PANEL : nullptr; }
    void clear(int64_t begin, int64_t end) const {
        FEMBED_ISA::clear(at(begin), (end - begin) * rows * PANEL);
    }
    void add(int64_t to, int64_t from) const { FEMBED_ISA::add(at(to), at(from), rows * PANEL); }
};

// Consecutive rows, each of `width` floats; null if the model does not have them.
struct Rows {
    float* data = nullptr;
    int64_t width = 0;
    explicit operator bool() const { return data != nullptr; }
    float* at(int64_t row) const { return data + row * width; }
    void clear(int64_t begin, int64_t end) const {
        FEMBED_ISA::clear(at(begin), (end - begin) * width);
    }
};

// Consecutive slices of one piece of memory. Each slice is aligned to a vector and followed by
// `room` unused floats. Slices that are used most have no gaps between them: with every slice
// aligned to a cache line, decoding took 9 to 20 % more time on a busy EPYC. If there is no memory,
// the slices are null, and only their total size is counted.
class Slices {
   public:
    explicit Slices(float* memory_, int64_t room_ = 0) : memory(memory_), room(room_) {}
    int64_t size() const { return used; }
    float* floats(int64_t count) {
        float* const slice = memory ? memory + used : nullptr;
        used += padded(count) + room;
        return slice;
    }
    double* doubles(int64_t count) {
        used += used % 2;
        return reinterpret_cast<double*>(floats(2 * count));
    }
    Panels panels(int64_t count, int64_t rows) {
        return rows ? Panels{floats(count * rows * PANEL), rows} : Panels{};
    }
    Rows rows(int64_t count, int64_t width) {
        return width ? Rows{floats(count * width), width} : Rows{};
    }

   private:
    float* memory;
    int64_t room, used = 0;
};

// Makes a struct of slices in `buffer`, which grows to their total size. The constructor
// Named(Slices&, sizes...) takes the slices that it needs.
template <class Named, class... Sizes>
Named sliced(Buffer& buffer, int64_t room, const Sizes&... sizes) {
    Slices counted(nullptr, room);
    Named(counted, sizes...);
    Slices slices(buffer.grow(counted.size() + LANES), room);
    return Named(slices, sizes...);
}

// Memory for such a struct for each of several threads.
template <class Named>
class OwnMemory {
   public:
    template <class... Sizes>
    explicit OwnMemory(int n_threads, const Sizes&... sizes) {
        Slices counted(nullptr);
        Named(counted, sizes...);
        floats = (counted.size() + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE + APART;
        memory.grow(floats * n_threads);
    }
    template <class... Sizes>
    Named of(int thread, const Sizes&... sizes) const {
        Slices slices(memory.data + floats * thread);
        return Named(slices, sizes...);
    }

   private:
    static constexpr int64_t CACHE_LINE = 16, APART = 64;  // floats
    Buffer memory;
    int64_t floats;
};

}  // namespace fembed::FEMBED_ISA
