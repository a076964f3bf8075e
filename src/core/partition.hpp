// How the work on a block is divided among threads.
//
// The result must not depend on the number of threads. Therefore the shape of the block alone
// decides how the work is divided into slots, each slot has its own memory for its sums, and the
// sums of the slots are added up in a fixed order.
#pragma once
#include <cstdint>

#include "products.hpp"
#include "simd.hpp"

namespace fembed::FEMBED_ISA {

FEMBED_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Range {
    int begin, end;
};

// A part of a block: some of its samples with some panels of its genes.
struct Slot {
    int index, gene_slot, sample_slot;
    Range panels, samples;
};

// The division of a block of m samples x g genes. The index of a slot is
// gene slot * n_sample_slots + sample slot.
struct Partition {
    static constexpr int MOST_SLOTS = 16, PANELS_A_SLOT = 16;
    static constexpr int SAMPLE_GROUP = 16;  // samples per job, in phases whose jobs are not slots
    int m, g, n_panels, n_gene_slots, n_sample_slots;

    Partition(int64_t samples, int64_t genes) : m(int(samples)), g(int(genes)) {
        n_panels = int(ceil_div(g, PANEL));
        const int64_t pairs = int64_t(m) * n_panels;
        int64_t slots = ceil_div(pairs, PANELS_A_SLOT);
        if (slots > MOST_SLOTS) slots = MOST_SLOTS;
        n_gene_slots = smaller(n_panels, int(slots));
        n_sample_slots = smaller(m, int(ceil_div(slots, n_gene_slots)));
    }
    int n_slots() const { return n_gene_slots * n_sample_slots; }
    Slot slot(int index) const {
        const int gene_slot = index / n_sample_slots, sample_slot = index % n_sample_slots;
        return {index, gene_slot, sample_slot, panels(gene_slot), samples(sample_slot)};
    }
    Range samples(int sample_slot) const {
        return {sample_begin(sample_slot), sample_begin(sample_slot + 1)};
    }
    Range panels(int gene_slot) const {
        return {panel_begin(gene_slot), panel_begin(gene_slot + 1)};
    }
    int genes_in(int panel) const { return smaller(PANEL, g - panel * PANEL); }

    // Groups of SAMPLE_GROUP samples: their number, and the samples of one of them.
    int n_groups() const { return int(ceil_div(m, SAMPLE_GROUP)); }
    Range group(int index) const {
        const int begin = index * SAMPLE_GROUP;
        return {begin, smaller(begin + SAMPLE_GROUP, m)};
    }

    // The index of a slot's sum for a panel, and of its sum for a sample.
    int64_t panel_sum(int sample_slot, int panel) const {
        return int64_t(sample_slot) * n_panels + panel;
    }
    int64_t sample_sum(int gene_slot, int i) const { return int64_t(gene_slot) * m + i; }

   private:
    int panel_begin(int slot) const { return int(int64_t(n_panels) * slot / n_gene_slots); }
    int sample_begin(int slot) const { return int(int64_t(m) * slot / n_sample_slots); }
};

}  // namespace fembed::FEMBED_ISA
