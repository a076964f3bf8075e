// One training step on a block: forward, loss, every gradient, Adam.
// Included inside a kernel's namespace, after network.hpp.
//
// The result must not depend on the number of threads. So the work is cut into slots by the
// block's shape alone; a slot adds into memory of its own; slots are added up in their order.

FEMBED_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How a block of m samples x g genes is cut: slot = gene slot * n_sample_slots + sample slot.
struct Cut {
    static constexpr int MOST_SLOTS = 16, PANELS_A_SLOT = 16;
    int m, g, n_panels, n_gene_slots, n_sample_slots;

    Cut(int64_t samples, int64_t genes) : m(int(samples)), g(int(genes)) {
        n_panels = int(ceil_div(g, PANEL));
        const int64_t pairs = int64_t(m) * n_panels;
        int64_t slots = ceil_div(pairs, PANELS_A_SLOT);
        if (slots > MOST_SLOTS) slots = MOST_SLOTS;
        n_gene_slots = smaller(n_panels, int(slots));
        n_sample_slots = smaller(m, int(ceil_div(slots, n_gene_slots)));
    }
    int n_slots() const { return n_gene_slots * n_sample_slots; }
    int panel_begin(int slot) const { return int(int64_t(n_panels) * slot / n_gene_slots); }
    int sample_begin(int slot) const { return int(int64_t(m) * slot / n_sample_slots); }
    int genes_in(int panel) const { return smaller(PANEL, g - panel * PANEL); }
};

// Panels of a tile, so that its activations stay in the second-level cache.
inline int tile_panels(const Layout& s) {
    const int64_t bytes = s.activations() * PANEL * 4;
    const int64_t fit = (int64_t(FEMBED_TILE_KIB) << 10) / bytes;
    return fit < 4 ? 4 : fit > 32 ? 32 : int(fit);
}

// Added up in float32 within a tile, in float64 over tiles.
struct SlotTotals {
    double loss;
    int64_t n_observed;
};

struct AdamRate {  // one row's update, with the bias corrections of its own count
    float rate, second_scale;
    int64_t count = -1;
    void at(int64_t t, float learning_rate, const Adam& adam) {
        if (t == count) return;
        count = t;
        rate = float(learning_rate / (1.0 - __builtin_pow(double(adam.beta1), double(t))));
        second_scale = float(1.0 / (1.0 - __builtin_pow(double(adam.beta2), double(t))));
    }
};

// gradient may be null: a row that the block did not touch, in the published recipe.
inline void adam_row(float* __restrict x, const float* __restrict gradient, float scale,
                     float* __restrict first, float* __restrict second, int64_t n,
                     const Adam& adam, const AdamRate& rate) {
    const float b1 = adam.beta1, b2 = adam.beta2, decay = adam.weight_decay;
    const float c1 = 1.0f - b1, c2 = 1.0f - b2, epsilon = adam.epsilon;
    const float step = rate.rate, second_scale = rate.second_scale;
    if (gradient) {
        for (int64_t i = 0; i < n; ++i) {
            const float g = gradient[i] * scale + decay * x[i];
            first[i] = b1 * first[i] + c1 * g;
            second[i] = b2 * second[i] + c2 * g * g;
            x[i] -= step * first[i] / (__builtin_sqrtf(second[i] * second_scale) + epsilon);
        }
    } else {
        for (int64_t i = 0; i < n; ++i) {
            const float g = decay * x[i];
            first[i] = b1 * first[i] + c1 * g;
            second[i] = b2 * second[i] + c2 * g * g;
            x[i] -= step * first[i] / (__builtin_sqrtf(second[i] * second_scale) + epsilon);
        }
    }
}

class Trainer {
   public:
    Trainer(const Shape& shape, const Arrays& arrays, const float* expression, int n_threads)
        : layout(shape), packed(layout, arrays.network), arrays(arrays), expression(expression),
          n(shape.n), p(shape.p), n_threads(n_threads), tile(tile_panels(layout)) {}

    // Exactly one of adam (train) and out (gradients of the first block) is given.
    void run(const Blocks& blocks, const Adam* adam, const BlockGradients* out, double* loss,
             int64_t* n_observed) {
        reserve(blocks);
        const bool dense = adam && !adam->lazy;
        if (dense) {
            touched_samples = static_cast<unsigned char*>(allocate_aligned(size_t(n + p)));
            touched_genes = touched_samples + n;
            __builtin_memset(touched_samples, 0, size_t(n + p));
        }
        packed.pack_all();
#pragma omp parallel num_threads(n_threads)
        {
            const int size = team_size();
            if (thread_number() == 0) team.open(size);
#pragma omp barrier
            for (int64_t t = 0; t < blocks.n_steps; ++t) {
                const Step step = {
                    Cut(blocks.sample_offset[t + 1] - blocks.sample_offset[t],
                        blocks.gene_offset[t + 1] - blocks.gene_offset[t]),
                    blocks.samples + blocks.sample_offset[t],
                    blocks.genes + blocks.gene_offset[t],
                    blocks.learning_rate ? blocks.learning_rate + 3 * t : nullptr,
                    adam,
                    out,
                    loss + t,
                    n_observed + t,
                };
                one_step(step);
            }
        }
        free_aligned(touched_samples);
        touched_samples = nullptr;
    }

   private:
    static constexpr int SAMPLE_GROUP = 16;
    struct Step {
        Cut cut;
        const int32_t *samples, *genes;
        const float* learning_rate;
        const Adam* adam;
        const BlockGradients* out;
        double* loss;
        int64_t* n_observed;
    };
    struct RowJob {
        int layer, begin, end;
    };
    Layout layout;
    Packed packed;
    Arrays arrays;
    const float* expression;
    int64_t n, p;
    int n_threads, tile;
    Team team;
    Buffer shared, own, row_job_memory;
    RowJob* row_jobs;
    int n_row_jobs;
    unsigned char *touched_samples = nullptr, *touched_genes = nullptr;
    SlotTotals totals[Cut::MOST_SLOTS * 2];
    // shared memory, for the block at hand
    float *old_samples, *sample_parts, *gene_parts, *loading_panels, *bias_panels;
    float *gene_sums, *loading_sums, *bias_sums;  // by sample slot
    float *sample_sums, *sample_skip_sums;        // by gene slot
    float *network_sums, *first_layer_sums;       // by slot; by gene slot
    float *network_gradient;
    int64_t own_floats, upper, first_row;

    void reserve(const Blocks& blocks) {
        int64_t m = 0, panels = 0, sums = 0, sample_sum = 0, slots = 0;
        for (int64_t t = 0; t < blocks.n_steps; ++t) {
            const Cut cut(blocks.sample_offset[t + 1] - blocks.sample_offset[t],
                          blocks.gene_offset[t + 1] - blocks.gene_offset[t]);
            m = cut.m > m ? cut.m : m;
            panels = cut.n_panels > panels ? cut.n_panels : panels;
            const int64_t by_sample = int64_t(cut.n_panels) * cut.n_sample_slots;
            const int64_t by_gene = int64_t(cut.m) * cut.n_gene_slots;
            sums = by_sample > sums ? by_sample : sums;
            sample_sum = by_gene > sample_sum ? by_gene : sample_sum;
            slots = cut.n_slots() > slots ? cut.n_slots() : slots;
        }
        const Layout& s = layout;
        upper = padded(s.n_network - s.first_layer) + LANES;
        first_row = s.e_padded;
        const int64_t skip = arrays.loading ? s.d : 0, bias = arrays.bias ? 1 : 0;
        const int64_t sizes[] = {m * s.d,
                                 m * s.h1_padded,
                                 panels * s.h1 * PANEL,
                                 panels * skip * PANEL,
                                 panels * bias * PANEL,
                                 sums * s.h1 * PANEL,
                                 sums * skip * PANEL,
                                 sums * bias * PANEL,
                                 sample_sum * s.h1_padded,
                                 skip ? sample_sum * s.d_padded : 0,
                                 slots * upper,
                                 Cut::MOST_SLOTS * s.h1 * first_row,
                                 padded(s.n_network)};
        float** const places[] = {&old_samples, &sample_parts,   &gene_parts,       &loading_panels,
                                  &bias_panels,    &gene_sums,        &loading_sums,
                                  &bias_sums,      &sample_sums,      &sample_skip_sums,
                                  &network_sums,   &first_layer_sums, &network_gradient};
        int64_t all = 0;
        for (int64_t size : sizes) all += padded(size) + LANES;
        float* at = shared.grow(all);
        for (int i = 0; i < 13; ++i) {
            *places[i] = at;
            at += padded(sizes[i]) + LANES;
        }
        const int64_t tile_floats = int64_t(tile) * (s.activations() + 1) * PANEL;
        const int64_t gene_floats = 2 * PANEL * s.e_padded + s.h1 * PANEL;
        own_floats = padded(tile_floats > gene_floats ? tile_floats : gene_floats) + 64;
        own.grow(own_floats * n_threads);
        cut_rows();
    }

    // Rows of the layers in jobs of about 2,048 weights.
    void cut_rows() {
        const Layout& s = layout;
        int64_t most = 1;
        for (int l = 0; l < s.n_hidden; ++l) most += s.width[l];
        row_jobs = reinterpret_cast<RowJob*>(row_job_memory.grow(most * 3));
        n_row_jobs = 0;
        for (int l = 0; l <= s.n_hidden; ++l) {
            const int n_in = l ? s.width[l - 1] : s.d + s.e, n_out = l < s.n_hidden ? s.width[l] : 1;
            const int rows = 2048 / n_in > 1 ? 2048 / n_in : 1;
            for (int o = 0; o < n_out; o += rows) {
                row_jobs[n_row_jobs++] = {l, o, smaller(o + rows, n_out)};
            }
        }
    }

    float* own_memory() { return own.data + own_floats * thread_number(); }
    float* gene_panel(float* base, int rows, int64_t panel) {
        return base ? base + panel * rows * PANEL : nullptr;
    }

    void one_step(const Step& step) {
        const Cut& cut = step.cut;
        const int groups = int(ceil_div(cut.m, SAMPLE_GROUP));
        const bool dense = step.adam && !step.adam->lazy;
        // 1. The first layer, once for every gene and once for every sample.
        team.share(cut.n_panels + groups, [&](int job) {
            if (job < cut.n_panels) {
                prepare_genes(cut, job, step.genes);
            } else {
                prepare_samples(cut, (job - cut.n_panels) * SAMPLE_GROUP, step.samples);
            }
        });
        // 2. All pairs.
        team.share(cut.n_slots(), [&](int slot) { work(cut, slot, step.samples, step.genes); });
        const double count = double(sum_totals(step));
        const float scale = count > 0.0 ? float(2.0 / count) : 0.0f;
        const Adam* const adam = count > 0.0 ? step.adam : nullptr;
        // 3. What belongs to one gene or one sample; the network still has its old weights.
        team.share(cut.n_gene_slots + groups, [&](int job) {
            if (job < cut.n_gene_slots) {
                finish_genes(cut, job, step.genes, scale, adam, step.out,
                             adam ? step.learning_rate[1] : 0.0f);
                return;
            }
            const int begin = (job - cut.n_gene_slots) * SAMPLE_GROUP;
            if (begin == 0 && adam) ++*adam->network_count;
            for (int i = begin; i < smaller(begin + SAMPLE_GROUP, cut.m); ++i) {
                finish_sample(cut, i, step, scale, adam);
            }
        });
        // 4. The network.
        team.share(n_row_jobs, [&](int job) { finish_rows(cut, job, step, scale, adam); });
        if (dense && adam) finish_untouched(step, *adam);
    }

    void prepare_genes(const Cut& cut, int panel, const int32_t* genes) {
        const int first = panel * PANEL, count = cut.genes_in(panel);
        const float* rows[PANEL];
        for (int i = 0; i < count; ++i) rows[i] = arrays.v + int64_t(genes[first + i]) * layout.e;
        packed.gene_part(rows, count, gene_panel(gene_parts, layout.h1, panel));
        gather_terms(arrays, layout.d, genes + first, 0, count,
                     arrays.loading ? gene_panel(loading_panels, layout.d, panel) : nullptr,
                     arrays.bias ? gene_panel(bias_panels, 1, panel) : nullptr);
    }

    // Phase 3 moves the samples; their old places are still wanted in phase 4.
    void prepare_samples(const Cut& cut, int begin, const int32_t* samples) {
        for (int i = begin; i < smaller(begin + SAMPLE_GROUP, cut.m); ++i) {
            const float* u = arrays.u + int64_t(samples[i]) * layout.d;
            for (int c = 0; c < layout.d; ++c) old_samples[int64_t(i) * layout.d + c] = u[c];
            packed.sample_part(u, sample_parts + i * layout.h1_padded);
        }
    }

    // Every thread adds the slots in their order; the first one reports.
    int64_t sum_totals(const Step& step) {
        double sum = 0.0;
        int64_t count = 0;
        for (int slot = 0; slot < step.cut.n_slots(); ++slot) {
            sum += totals[slot].loss;
            count += totals[slot].n_observed;
        }
        if (thread_number() == 0) {
            *step.loss = count ? sum / double(count) : 0.0;
            *step.n_observed = count;
        }
        return count;
    }

    // All pairs of one slot: forward, loss, and the gradients that need activations.
    void work(const Cut& cut, int slot, const int32_t* samples, const int32_t* genes) {
        const Layout& s = layout;
        const int gene_slot = slot / cut.n_sample_slots, sample_slot = slot % cut.n_sample_slots;
        const int panel_begin = cut.panel_begin(gene_slot);
        const int panel_end = cut.panel_begin(gene_slot + 1);
        const int begin = cut.sample_begin(sample_slot), end = cut.sample_begin(sample_slot + 1);
        const int64_t place = int64_t(sample_slot) * cut.n_panels;
        clear(gene_panel(gene_sums, s.h1, place + panel_begin),
              int64_t(panel_end - panel_begin) * s.h1 * PANEL);
        if (arrays.loading) {
            clear(gene_panel(loading_sums, s.d, place + panel_begin),
                  int64_t(panel_end - panel_begin) * s.d * PANEL);
            clear(sample_skip_sums + (int64_t(gene_slot) * cut.m + begin) * s.d_padded,
                  (end - begin) * s.d_padded);
        }
        if (arrays.bias) {
            clear(gene_panel(bias_sums, 1, place + panel_begin),
                  int64_t(panel_end - panel_begin) * PANEL);
        }
        clear(sample_sums + (int64_t(gene_slot) * cut.m + begin) * s.h1_padded,
              (end - begin) * s.h1_padded);
        float* const sums = network_sums + slot * upper;
        clear(sums, upper);

        SlotTotals total = {0.0, 0};
        int pairs_sample[32], pairs_panel[32];
        int count = 0;
        for (int panel = panel_begin; panel < panel_end; ++panel) {
            for (int i = begin; i < end; ++i) {
                pairs_sample[count] = i;
                pairs_panel[count] = panel;
                if (++count == tile) {
                    work_tile(cut, gene_slot, place, pairs_sample, pairs_panel, count, samples,
                              genes, sums, total);
                    count = 0;
                }
            }
        }
        if (count) {
            work_tile(cut, gene_slot, place, pairs_sample, pairs_panel, count, samples, genes,
                      sums, total);
        }
        totals[slot] = total;
    }

    void work_tile(const Cut& cut, int gene_slot, int64_t place, const int* pairs_sample,
                   const int* pairs_panel, int count, const int32_t* samples,
                   const int32_t* genes, float* sums, SlotTotals& total) {
        const Layout& s = layout;
        const int64_t step = s.activations() * PANEL;
        float* const hidden = own_memory();
        float* const residuals = hidden + int64_t(tile) * step;
        vec squares = {}, observed = {};
        for (int k = 0; k < count; ++k) {
            const int i = pairs_sample[k], panel = pairs_panel[k];
            vec residual[2];
            const float* u = arrays.u + int64_t(samples[i]) * s.d;
            const GeneTerms terms = {
                arrays.loading ? gene_panel(loading_panels, s.d, panel) : nullptr,
                arrays.bias ? gene_panel(bias_panels, 1, panel) : nullptr};
            if (k + 1 < count) {
                prefetch_target(cut, int64_t(samples[pairs_sample[k + 1]]) * p, genes,
                                pairs_panel[k + 1]);
            }
            float target[PANEL];
            gather_target(cut, int64_t(samples[i]) * p, genes, panel, target);
            forward_panel(packed, sample_parts + i * s.h1_padded, u,
                          gene_panel(gene_parts, s.h1, panel), terms, hidden + k * step, residual);
            for (int v = 0; v < 2; ++v) {
                const vec x = load(target + v * LANES);
                residual[v] = zero_if_nan(x, residual[v] - x);
                squares += residual[v] * residual[v];
                observed += zero_if_nan(x, splat(1.0f));
                store(residuals + k * PANEL + v * LANES, residual[v]);
            }
            add_gene_terms(cut, gene_slot, place, i, panel, u, terms, residual);
        }
        total.loss += double(sum_lanes(squares));
        total.n_observed += int64_t(sum_lanes(observed));

        const int top = s.n_hidden - 1;
        float* const top_rows = hidden + s.hidden_offset[top] * PANEL;
        add_dots(residuals, 1, PANEL, top_rows, s.last(), step, count, slot_weight(sums, top + 1));
        float output_sum[LANES] = {};
        add_row_sums(residuals, 1, PANEL, count, output_sum);
        slot_bias(sums, top + 1)[0] += output_sum[0];
        for (int k = 0; k < count; ++k) {
            const vec seed[2] = {load(residuals + k * PANEL), load(residuals + k * PANEL + LANES)};
            backward_output(packed, seed, hidden + k * step);
        }
        for (int l = top; l > 0; --l) {
            const float* rows = hidden + s.hidden_offset[l] * PANEL;
            add_dots(rows, s.width[l], step, hidden + s.hidden_offset[l - 1] * PANEL,
                     s.width[l - 1], step, count, slot_weight(sums, l));
            add_bias_sums(rows, s.width[l], step, count, slot_bias(sums, l));
            for (int k = 0; k < count; ++k) backward_layer(packed, l, hidden + k * step);
        }
        for (int k = 0; k < count; ++k) {
            const float* rows = hidden + k * step;
            float* gene = gene_panel(gene_sums, s.h1, place + pairs_panel[k]);
            for (int64_t i = 0; i < int64_t(s.h1) * PANEL; i += LANES) {
                store(gene + i, load(gene + i) + load(rows + i));
            }
            add_row_sums(rows, s.h1, 0, 1,
                         sample_sums + (int64_t(gene_slot) * cut.m + pairs_sample[k]) * s.h1_padded);
        }
    }

    // In a large matrix every entry of a block is a cache miss of its own.
    void prefetch_target(const Cut& cut, int64_t row, const int32_t* genes, int panel) const {
        const int32_t* which = genes + panel * PANEL;
        for (int i = 0; i < cut.genes_in(panel); ++i) {
            __builtin_prefetch(expression + row + which[i]);
        }
    }

    void gather_target(const Cut& cut, int64_t row, const int32_t* genes, int panel,
                       float* target) const {
        const int count = cut.genes_in(panel);
        const int32_t* which = genes + panel * PANEL;
        for (int i = 0; i < count; ++i) target[i] = expression[row + which[i]];
        for (int i = count; i < PANEL; ++i) target[i] = __builtin_nanf("");
    }

    // Gradients of the skip and of the gene bias.
    FEMBED_INLINE void add_gene_terms(const Cut& cut, int gene_slot, int64_t place, int i,
                                      int panel, const float* u, const GeneTerms& terms,
                                      const vec (&residual)[2]) {
        const Layout& s = layout;
        if (terms.bias) {
            float* sum = gene_panel(bias_sums, 1, place + panel);
            for (int v = 0; v < 2; ++v) {
                store(sum + v * LANES, load(sum + v * LANES) + residual[v]);
            }
        }
        if (!terms.loading) return;
        float* sum = gene_panel(loading_sums, s.d, place + panel);
        float* skip = sample_skip_sums + (int64_t(gene_slot) * cut.m + i) * s.d_padded;
        for (int first = 0; first < s.d; first += LANES) {
            vec products[LANES] = {};
            const int rows = smaller(LANES, s.d - first);
            for (int r = 0; r < rows; ++r) {
                const int c = first + r;
                for (int v = 0; v < 2; ++v) {
                    const int64_t at = int64_t(c) * PANEL + v * LANES;
                    store(sum + at, load(sum + at) + splat(u[c]) * residual[v]);
                    products[r] += load(terms.loading + at) * residual[v];
                }
            }
            store(skip + first, load(skip + first) + sum_rows(products));
        }
    }

    // add_row_sums writes whole vectors; a layer's biases have no room for that.
    void add_bias_sums(const float* rows, int count, int64_t step, int n_panels, float* out) {
        for (int first = 0; first < count; first += LANES) {
            const int width = smaller(LANES, count - first);
            float sum[LANES] = {};
            add_row_sums(rows + int64_t(first) * PANEL, width, step, n_panels, sum);
            for (int i = 0; i < width; ++i) out[first + i] += sum[i];
        }
    }

    float* slot_weight(float* sums, int l) { return sums + layout.weight[l] - layout.first_layer; }
    float* slot_bias(float* sums, int l) { return sums + layout.bias[l] - layout.first_layer; }

    // Genes of one gene slot: gradients of V, L and c, their update, and W_v's gradient.
    void finish_genes(const Cut& cut, int slot, const int32_t* genes, float scale,
                      const Adam* adam, const BlockGradients* out, float learning_rate) {
        const Layout& s = layout;
        float* const gradient = own_memory();  // PANEL x e_padded
        float* const rows = gradient + PANEL * s.e_padded;
        float* const weight = first_layer_sums + int64_t(slot) * s.h1 * first_row;
        clear(weight, s.h1 * first_row);
        AdamRate rate;
        for (int panel = cut.panel_begin(slot); panel < cut.panel_begin(slot + 1); ++panel) {
            const int count = cut.genes_in(panel), first = panel * PANEL;
            for (int b = 1; b < cut.n_sample_slots; ++b) {
                const int64_t other = int64_t(b) * cut.n_panels + panel;
                add(gene_panel(gene_sums, s.h1, panel), gene_panel(gene_sums, s.h1, other),
                    int64_t(s.h1) * PANEL);
                if (arrays.loading) {
                    add(gene_panel(loading_sums, s.d, panel), gene_panel(loading_sums, s.d, other),
                        int64_t(s.d) * PANEL);
                }
                if (arrays.bias) {
                    add(gene_panel(bias_sums, 1, panel), gene_panel(bias_sums, 1, other), PANEL);
                }
            }
            const float* sums = gene_panel(gene_sums, s.h1, panel);
            for (int i = 0; i < count; ++i) {
                const float* v = arrays.v + int64_t(genes[first + i]) * s.e;
                float* row = rows + i * s.e_padded;
                for (int k = 0; k < s.e; ++k) row[k] = v[k];
                for (int64_t k = s.e; k < s.e_padded; ++k) row[k] = 0.0f;
            }
            add_first_layer(sums, rows, count, weight);
            gene_gradient(sums, count, gradient);
            for (int i = 0; i < count; ++i) {
                const int64_t gene = genes[first + i];
                const float* row = gradient + i * s.e_padded;
                if (out) {
                    for (int k = 0; k < s.e; ++k) {
                        out->v[int64_t(first + i) * s.e + k] = scale * row[k];
                    }
                    gene_terms_out(panel, i, first + i, scale, *out);
                }
                if (!adam) continue;
                const int64_t t = ++adam->v_count[gene];
                rate.at(t, learning_rate, *adam);
                adam_row(arrays.v + gene * s.e, row, scale, adam->first.v + gene * s.e,
                         adam->second.v + gene * s.e, s.e, *adam, rate);
                update_gene_terms(panel, i, gene, scale, *adam, rate);
            }
        }
    }

    // gradient (genes x e_padded) = sums' W_v
    void gene_gradient(const float* sums, int count, float* gradient) const {
        const Layout& s = layout;
        for (int g = 0; g < count; g += ROWS) {
            with_rows<ROWS>(smaller(ROWS, count - g), [&](auto rows) {
                constexpr int R = decltype(rows)::value;
                int64_t k = 0;
                for (; k + LANES < s.e_padded; k += 2 * LANES) {
                    gene_gradient_block<R, 2>(sums + g, k, gradient + g * s.e_padded + k);
                }
                if (k < s.e_padded) {
                    gene_gradient_block<R, 1>(sums + g, k, gradient + g * s.e_padded + k);
                }
            });
        }
    }
    template <int R, int V>
    FEMBED_INLINE void gene_gradient_block(const float* sums, int64_t k, float* out) const {
        vec block[R][V] = {};
        accumulate<R, V>(sums, 1, PANEL, packed.gene_side_back + k, layout.e_padded, layout.h1,
                         block);
        for (int r = 0; r < R; ++r) {
            for (int v = 0; v < V; ++v) store(out + r * layout.e_padded + v * LANES, block[r][v]);
        }
    }

    // weight (h1 x e_padded) += sums (h1 x genes) rows (genes x e_padded)
    void add_first_layer(const float* sums, const float* rows, int count, float* weight) const {
        const Layout& s = layout;
        for (int h = 0; h < s.h1; h += ROWS) {
            with_rows<ROWS>(smaller(ROWS, s.h1 - h), [&](auto height) {
                constexpr int R = decltype(height)::value;
                int64_t k = 0;
                for (; k + LANES < s.e_padded; k += 2 * LANES) {
                    first_layer_block<R, 2>(sums + h * PANEL, rows + k, count,
                                            weight + h * s.e_padded + k);
                }
                if (k < s.e_padded) {
                    first_layer_block<R, 1>(sums + h * PANEL, rows + k, count,
                                            weight + h * s.e_padded + k);
                }
            });
        }
    }
    template <int R, int V>
    FEMBED_INLINE void first_layer_block(const float* sums, const float* rows, int count,
                                         float* out) const {
        vec block[R][V];
        for (int r = 0; r < R; ++r) {
            for (int v = 0; v < V; ++v) block[r][v] = load(out + r * layout.e_padded + v * LANES);
        }
        accumulate<R, V>(sums, PANEL, 1, rows, layout.e_padded, count, block);
        for (int r = 0; r < R; ++r) {
            for (int v = 0; v < V; ++v) store(out + r * layout.e_padded + v * LANES, block[r][v]);
        }
    }

    void gene_terms_out(int panel, int i, int64_t row, float scale, const BlockGradients& out) {
        if (arrays.bias) out.bias[row] = scale * gene_panel(bias_sums, 1, panel)[i];
        if (!arrays.loading) return;
        for (int c = 0; c < layout.d; ++c) {
            out.loading[row * layout.d + c] =
                scale * gene_panel(loading_sums, layout.d, panel)[c * PANEL + i];
        }
    }

    void update_gene_terms(int panel, int i, int64_t gene, float scale, const Adam& adam,
                           const AdamRate& rate) {
        if (arrays.bias) {
            adam_row(arrays.bias + gene, gene_panel(bias_sums, 1, panel) + i, scale,
                     adam.first.bias + gene, adam.second.bias + gene, 1, adam, rate);
        }
        if (!arrays.loading) return;
        const int d = layout.d;
        const float* sums = gene_panel(loading_sums, d, panel);
        for (int c = 0; c < d; ++c) {
            const int64_t at = gene * d + c;
            adam_row(arrays.loading + at, sums + c * PANEL + i, scale, adam.first.loading + at,
                     adam.second.loading + at, 1, adam, rate);
        }
    }

    // Some rows of one layer: their gradients added up over slots, and their update.
    void finish_rows(const Cut& cut, int job, const Step& step, float scale, const Adam* adam) {
        const Layout& s = layout;
        const RowJob& rows = row_jobs[job];
        const int l = rows.layer, n_in = l ? s.width[l - 1] : s.d + s.e;
        AdamRate rate;
        if (adam) rate.at(*adam->network_count, step.learning_rate[0], *adam);
        for (int o = rows.begin; o < rows.end; ++o) {
            const int64_t weight = s.weight[l] + int64_t(o) * n_in, bias = s.bias[l] + o;
            float* const row = network_gradient + weight;
            if (l == 0) {
                network_gradient[bias] = first_layer_gradient(cut, o, row);
            } else {
                clear(row, n_in);
                network_gradient[bias] = 0.0f;
                for (int slot = 0; slot < cut.n_slots(); ++slot) {
                    const float* sums = network_sums + slot * upper - s.first_layer;
                    add(row, sums + weight, n_in);
                    network_gradient[bias] += sums[bias];
                }
            }
            if (step.out) {
                for (int i = 0; i < n_in; ++i) step.out->network[weight + i] = scale * row[i];
                step.out->network[bias] = scale * network_gradient[bias];
            }
            if (!adam) continue;
            adam_row(arrays.network + weight, row, scale, adam->first.network + weight,
                     adam->second.network + weight, n_in, *adam, rate);
            adam_row(arrays.network + bias, network_gradient + bias, scale,
                     adam->first.network + bias, adam->second.network + bias, 1, *adam, rate);
            packed.pack_row(l, o);
        }
    }

    // Fills row (d + e) and returns the gradient of the bias.
    float first_layer_gradient(const Cut& cut, int h, float* row) {
        const Layout& s = layout;
        clear(row, s.d + s.e);
        float bias = 0.0f;
        for (int i = 0; i < cut.m; ++i) {
            const float sum = sample_sums[i * s.h1_padded + h];
            const float* u = old_samples + int64_t(i) * s.d;
            for (int c = 0; c < s.d; ++c) row[c] += sum * u[c];
            bias += sum;
        }
        for (int a = 0; a < cut.n_gene_slots; ++a) {
            add(row + s.d, first_layer_sums + (int64_t(a) * s.h1 + h) * first_row, s.e);
        }
        return bias;
    }

    void finish_sample(const Cut& cut, int i, const Step& step, float scale, const Adam* adam) {
        const Layout& s = layout;
        constexpr int CHUNK = 128;
        const int64_t sample = step.samples[i];
        AdamRate rate;
        if (adam) rate.at(++adam->u_count[sample], step.learning_rate[2], *adam);
        float* const sum = sample_sums + i * s.h1_padded;
        for (int a = 1; a < cut.n_gene_slots; ++a) {
            add(sum, sample_sums + (int64_t(a) * cut.m + i) * s.h1_padded, s.h1_padded);
        }
        for (int first = 0; first < s.d; first += CHUNK) {
            const int count = smaller(CHUNK, s.d - first);
            float gradient[CHUNK] = {};
            for (int h = 0; h < s.h1; ++h) {
                const float* row = packed.network + int64_t(h) * (s.d + s.e) + first;
                for (int c = 0; c < count; ++c) gradient[c] += sum[h] * row[c];
            }
            if (arrays.loading) {
                for (int a = 0; a < cut.n_gene_slots; ++a) {
                    add(gradient,
                        sample_skip_sums + (int64_t(a) * cut.m + i) * s.d_padded + first, count);
                }
            }
            if (step.out) {
                for (int c = 0; c < count; ++c) {
                    step.out->u[int64_t(i) * s.d + first + c] = scale * gradient[c];
                }
            }
            if (adam) {
                const int64_t at = sample * s.d + first;
                adam_row(arrays.u + at, gradient, scale, adam->first.u + at, adam->second.u + at,
                         count, *adam, rate);
            }
        }
    }

    // The published recipe's Adam moves every row in every step.
    void finish_untouched(const Step& step, const Adam& adam) {
        constexpr int64_t GROUP = 256;
        const auto mark = [&](int job) {
            const unsigned char mark = job == 0;
            for (int i = 0; i < step.cut.m; ++i) touched_samples[step.samples[i]] = mark;
            for (int i = 0; i < step.cut.g; ++i) touched_genes[step.genes[i]] = mark;
        };
        const int sample_jobs = int(ceil_div(n, GROUP)), gene_jobs = int(ceil_div(p, GROUP));
        team.share(1, mark);
        team.share(sample_jobs + gene_jobs, [&](int job) {
            AdamRate rate;
            if (job < sample_jobs) {
                const int64_t begin = job * GROUP, end = begin + GROUP < n ? begin + GROUP : n;
                for (int64_t i = begin; i < end; ++i) {
                    if (!touched_samples[i]) drift_sample(i, adam, step.learning_rate[2], rate);
                }
            } else {
                const int64_t begin = (job - sample_jobs) * GROUP;
                const int64_t end = begin + GROUP < p ? begin + GROUP : p;
                for (int64_t j = begin; j < end; ++j) {
                    if (!touched_genes[j]) drift_gene(j, adam, step.learning_rate[1], rate);
                }
            }
        });
        team.share(1, [&](int) { mark(1); });
    }

    void drift_sample(int64_t i, const Adam& adam, float learning_rate, AdamRate& rate) {
        const int d = layout.d;
        rate.at(++adam.u_count[i], learning_rate, adam);
        adam_row(arrays.u + i * d, nullptr, 0.0f, adam.first.u + i * d, adam.second.u + i * d, d,
                 adam, rate);
    }

    void drift_gene(int64_t j, const Adam& adam, float learning_rate, AdamRate& rate) {
        const int d = layout.d, e = layout.e;
        rate.at(++adam.v_count[j], learning_rate, adam);
        adam_row(arrays.v + j * e, nullptr, 0.0f, adam.first.v + j * e, adam.second.v + j * e, e,
                 adam, rate);
        if (arrays.bias) {
            adam_row(arrays.bias + j, nullptr, 0.0f, adam.first.bias + j, adam.second.bias + j, 1,
                     adam, rate);
        }
        if (arrays.loading) {
            adam_row(arrays.loading + j * d, nullptr, 0.0f, adam.first.loading + j * d,
                     adam.second.loading + j * d, d, adam, rate);
        }
    }

    static void clear(float* to, int64_t count) {
        for (int64_t i = 0; i < count; ++i) to[i] = 0.0f;
    }
    static void add(float* __restrict to, const float* __restrict from, int64_t count) {
        for (int64_t i = 0; i < count; ++i) to[i] += from[i];
    }
};
