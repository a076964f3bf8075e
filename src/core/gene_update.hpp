// For the genes of one gene slot: the gradients of V, L and c, the update of these rows, and the
// gradient of W_v (the columns of the first layer that multiply v).
#pragma once
#include <cstdint>

#include "adam.hpp"
#include "memory.hpp"
#include "products.hpp"
#include "simd.hpp"
#include "step.hpp"

namespace fembed::FEMBED_ISA {

class GeneUpdate {
   public:
    GeneUpdate(const Training& training_, const Step& step_)
        : training(training_), s(training_.layout), work(training_.workspace), step(step_),
          memory(training_.own().genes),
          update(training_.arrays, step_.adam, step_.learning_rate.genes, step_.scale) {}

    void run(int gene_slot) {
        float* const gene_side = work.gene_side_sums.at(gene_slot);
        clear(gene_side, s.h1 * s.e_padded);
        const Range panels = step.partition.panels(gene_slot);
        for (int panel = panels.begin; panel < panels.end; ++panel) {
            const int count = step.partition.genes_in(panel);
            add_up_slots(panel);
            copy_rows(panel, count);
            const float* const sums = work.gene_sums.at(panel);
            add_gene_side(sums, count, gene_side);
            gradient_of_rows(sums, count);
            for (int i = 0; i < count; ++i) {
                if (step.gradients) write_gradients(panel, i);
                if (step.adam) move(panel, i);
            }
        }
    }

   private:
    const Training& training;
    const Layout& s;
    const Workspace& work;
    const Step& step;
    const GeneMemory memory;
    AdamUpdate update;

    // Adds the sums of all sample slots to those of the first one, in the order of the slots.
    void add_up_slots(int panel) const {
        for (int slot = 1; slot < step.partition.n_sample_slots; ++slot) {
            const int64_t other = step.partition.panel_sum(slot, panel);
            work.gene_sums.add(panel, other);
            if (work.loading_sums) work.loading_sums.add(panel, other);
            if (work.bias_sums) work.bias_sums.add(panel, other);
        }
    }

    // The rows of V with which the step was computed, padded with zeros.
    void copy_rows(int panel, int count) const {
        for (int i = 0; i < count; ++i) {
            const float* const v = training.arrays.v + int64_t(step.genes[panel * PANEL + i]) * s.e;
            float* const row = memory.rows + i * s.e_padded;
            for (int k = 0; k < s.e; ++k) row[k] = v[k];
            for (int64_t k = s.e; k < s.e_padded; ++k) row[k] = 0.0f;
        }
    }

    // gene_side (h1 x e_padded) += sums (h1 x genes) rows (genes x e_padded)
    void add_gene_side(const float* sums, int count, float* gene_side) const {
        for (int h = 0; h < s.h1; h += ROWS) {
            with_rows<ROWS>(smaller(ROWS, s.h1 - h), [&](auto height) {
                constexpr int R = decltype(height)::value;
                float* const out = gene_side + h * s.e_padded;
                int64_t k = 0;
                for (; k + LANES < s.e_padded; k += 2 * LANES) {
                    gene_side_block<R, 2>(sums + h * PANEL, k, count, out + k);
                }
                if (k < s.e_padded) gene_side_block<R, 1>(sums + h * PANEL, k, count, out + k);
            });
        }
    }
    template <int R, int V>
    FEMBED_INLINE void gene_side_block(const float* sums, int64_t k, int count, float* out) const {
        vec block[R][V];
        for (int r = 0; r < R; ++r) {
            for (int v = 0; v < V; ++v) block[r][v] = load(out + r * s.e_padded + v * LANES);
        }
        accumulate<R, V>({sums, PANEL, 1}, {memory.rows + k, s.e_padded}, count, block);
        store_block(block, out);
    }

    // gradient (genes x e_padded) = sums^T W_v
    void gradient_of_rows(const float* sums, int count) const {
        for (int g = 0; g < count; g += ROWS) {
            with_rows<ROWS>(smaller(ROWS, count - g), [&](auto rows) {
                constexpr int R = decltype(rows)::value;
                float* const out = memory.gradient + g * s.e_padded;
                int64_t k = 0;
                for (; k + LANES < s.e_padded; k += 2 * LANES) {
                    gradient_block<R, 2>(sums + g, k, out + k);
                }
                if (k < s.e_padded) gradient_block<R, 1>(sums + g, k, out + k);
            });
        }
    }
    template <int R, int V>
    FEMBED_INLINE void gradient_block(const float* sums, int64_t k, float* out) const {
        vec block[R][V] = {};
        accumulate<R, V>({sums, 1, PANEL}, {training.packed.gene_side_back + k, s.e_padded}, s.h1,
                         block);
        store_block(block, out);
    }
    template <int R, int V>
    FEMBED_INLINE void store_block(const vec (&block)[R][V], float* out) const {
        for (int r = 0; r < R; ++r) {
            for (int v = 0; v < V; ++v) store(out + r * s.e_padded + v * LANES, block[r][v]);
        }
    }

    // Writes the gradients of gene i of a panel.
    void write_gradients(int panel, int i) const {
        const Arrays& out = *step.gradients;
        const int64_t gene = int64_t(panel) * PANEL + i;  // index within the block
        const float* const gradient = memory.gradient + i * s.e_padded;
        for (int k = 0; k < s.e; ++k) out.v[gene * s.e + k] = step.scale * gradient[k];
        if (work.bias_sums) out.bias[gene] = step.scale * work.bias_sums.at(panel)[i];
        if (!work.loading_sums) return;
        const float* const sums = work.loading_sums.at(panel);
        float* const loading = out.loading + gene * s.d;
        for (int c = 0; c < s.d; ++c) loading[c] = step.scale * sums[c * PANEL + i];
    }

    void move(int panel, int i) {
        const int64_t gene = step.genes[panel * PANEL + i];
        update.at(++step.adam->v_count[gene]);
        update.move<&Arrays::v>(gene * s.e, s.e, memory.gradient + i * s.e_padded);
        if (work.bias_sums) {
            update.move_one<&Arrays::bias>(gene, work.bias_sums.at(panel) + i);
        }
        if (!work.loading_sums) return;
        const float* const sums = work.loading_sums.at(panel) + i;
        for (int c = 0; c < s.d; ++c) {
            update.move_one<&Arrays::loading>(gene * s.d + c, sums + c * PANEL);
        }
    }
};

}  // namespace fembed::FEMBED_ISA
