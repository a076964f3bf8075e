// A frozen model: the genes' part of the first layer is computed once, for all samples.
#pragma once
#include <cstdint>

#include "interface.hpp"
#include "layout.hpp"
#include "memory.hpp"
#include "network.hpp"
#include "packed.hpp"
#include "simd.hpp"

namespace fembed::FEMBED_ISA {

struct FrozenPanels {
    Panels parts, loading, bias;

    FrozenPanels(Slices& slices, const Layout& s, const Arrays& arrays, int64_t n_panels)
        : parts(slices.panels(n_panels, s.h1)),
          loading(slices.panels(n_panels, arrays.loading ? s.d : 0)),
          bias(slices.panels(n_panels, arrays.bias ? 1 : 0)) {}
};

struct FrozenModel {
    Layout layout;
    Packed packed;
    int64_t p, n_panels;

    FrozenModel(const Model& model, int n_threads)
        : layout(model.shape), packed(layout, model.arrays.network), p(model.shape.p),
          n_panels((p + PANEL - 1) / PANEL),
          panels(sliced<FrozenPanels>(memory, 0, layout, model.arrays, n_panels)) {
        packed.pack_all();
#pragma omp parallel for schedule(static) num_threads(n_threads)
        for (int64_t k = 0; k < n_panels; ++k) {
            const PanelGenes some = {nullptr, k * PANEL, genes_in(k)};
            fill_gene_panel(packed, model.arrays, some, genes(k));
        }
    }
    int genes_in(int64_t panel) const {
        return p - panel * PANEL < PANEL ? int(p - panel * PANEL) : PANEL;
    }
    GenePanel genes(int64_t panel) const {
        return {panels.parts.at(panel), panels.loading.at(panel), panels.bias.at(panel)};
    }

   private:
    Buffer memory;
    FrozenPanels panels;
};

}  // namespace fembed::FEMBED_ISA
