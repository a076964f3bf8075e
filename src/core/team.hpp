// Threads of one OpenMP region that share out the jobs of one phase after another.
//
// OpenMP's own loops end in a barrier in which waiting threads spin for a long time. On a machine
// that is busy with other work, or that runs two fits at once, a step of one millisecond then takes
// ten. The threads at this barrier spin briefly and then yield their processor.
#pragma once
#ifdef _OPENMP
#include <omp.h>
#endif

#include "platform.hpp"

namespace fembed::FEMBED_ISA {

#ifdef _OPENMP
inline int thread_number() { return omp_get_thread_num(); }
inline int team_size() { return omp_get_num_threads(); }
#else
inline int thread_number() { return 0; }
inline int team_size() { return 1; }
#endif

class Team {
   public:
    void open(int n) { size = n, arrived = 0, next = 0; }

    // Every thread of the team calls this with the same n; returns when all jobs are done.
    template <class Job>
    void share(int n, const Job& job) {
        if (size == 1) {
            for (int i = 0; i < n; ++i) job(i);
            return;
        }
        for (int i; (i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < n;) job(i);
        wait();
    }

   private:
    static constexpr int SPINS = 1000;
    int size = 1;
    alignas(64) int next = 0;
    alignas(64) int arrived = 0;
    alignas(64) int phase = 0;

    void wait() {
        const int mine = __atomic_load_n(&phase, __ATOMIC_ACQUIRE);
        if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == size) {
            arrived = 0;
            next = 0;
            __atomic_store_n(&phase, mine + 1, __ATOMIC_RELEASE);
            return;
        }
        for (int spin = 0; spin < SPINS; ++spin) {
            if (__atomic_load_n(&phase, __ATOMIC_ACQUIRE) != mine) return;
            pause_processor();
        }
        while (__atomic_load_n(&phase, __ATOMIC_ACQUIRE) == mine) yield_processor();
    }
    static void pause_processor() {
#if defined(__x86_64__) || defined(_M_X64)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
};

}  // namespace fembed::FEMBED_ISA
