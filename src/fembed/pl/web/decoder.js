// Evaluates the model of fembed in a browser: x_hat[j] = c[j] + u . L[j] + MLP([u; v[j]]).
// The same algebra as the engine: the first layer is linear in [u; v], so the part of u is
// computed once per point and the part of v once per gene.
"use strict";

function fembedBytes(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let k = 0; k < binary.length; k++) bytes[k] = binary.charCodeAt(k);
  return bytes.buffer;
}

const fembedArray = {
  float32: (text) => new Float32Array(fembedBytes(text)),
  int32: (text) => new Int32Array(fembedBytes(text)),
  uint16: (text) => new Uint16Array(fembedBytes(text)),
  // 16-bit integers with one scale per column: n rows of `scale.length` numbers.
  scaled(packed) {
    const whole = new Int16Array(fembedBytes(packed.data));
    const scale = fembedArray.float32(packed.scale);
    const values = new Float32Array(whole.length);
    for (let k = 0; k < whole.length; k++) values[k] = whole[k] * scale[k % scale.length];
    return values;
  },
};

// out[i] = bias[i] + sum over k of weight[i, k] * input[offset + k]
function fembedDense(weight, bias, input, offset, nIn, out) {
  for (let i = 0, w = 0; i < out.length; i++, w += nIn) {
    let sum = bias === null ? 0 : bias[i];
    for (let k = 0; k < nIn; k++) sum += weight[w + k] * input[offset + k];
    out[i] = sum;
  }
  return out;
}

class FembedDecoder {
  constructor(spec) {
    this.nComponents = spec.n_components;
    this.nGenes = spec.n_genes;
    this.ofSample = fembedArray.float32(spec.first.sample);
    this.firstBias = fembedArray.float32(spec.first.bias);
    this.ofGene = spec.first.gene === null ? null : fembedArray.float32(spec.first.gene);
    this.width = this.firstBias.length;
    this.genes = fembedArray.scaled(spec.genes); // embeddings, or their part of the first layer
    this.geneWidth = this.genes.length / this.nGenes;
    this.layers = spec.layers.map((layer) => ({
      weight: fembedArray.float32(layer.weight),
      bias: fembedArray.float32(layer.bias),
      out: new Float32Array(layer.n_out),
      nIn: layer.n_in,
    }));
    this.loading = spec.loading === null ? null : fembedArray.scaled(spec.loading);
    this.geneBias = spec.gene_bias === null ? null : fembedArray.float32(spec.gene_bias);
    this.active = new Float32Array(this.width);
    this.allGenes = null;
  }

  samplePart(point) {
    const out = new Float32Array(this.width);
    return fembedDense(this.ofSample, this.firstBias, point, 0, this.nComponents, out);
  }

  genePart(gene, out) {
    const at = gene * this.geneWidth;
    if (this.ofGene === null) out.set(this.genes.subarray(at, at + this.width));
    else fembedDense(this.ofGene, null, this.genes, at, this.geneWidth, out);
    return out;
  }

  // The first layer's part of every gene, computed at the first whole profile and kept.
  geneParts() {
    if (this.allGenes === null) {
      this.allGenes = new Float32Array(this.nGenes * this.width);
      for (let j = 0; j < this.nGenes; j++) {
        this.genePart(j, this.allGenes.subarray(j * this.width, (j + 1) * this.width));
      }
    }
    return this.allGenes;
  }

  pair(samplePart, geneParts, at, point, gene) {
    const active = this.active;
    for (let k = 0; k < this.width; k++) {
      const sum = samplePart[k] + geneParts[at + k];
      active[k] = sum > 0 ? sum : 0;
    }
    let input = active;
    for (let l = 0; l < this.layers.length; l++) {
      const layer = this.layers[l];
      const out = fembedDense(layer.weight, layer.bias, input, 0, layer.nIn, layer.out);
      if (l < this.layers.length - 1) {
        for (let k = 0; k < out.length; k++) if (out[k] < 0) out[k] = 0;
      }
      input = out;
    }
    let value = input[0];
    if (this.geneBias !== null) value += this.geneBias[gene];
    if (this.loading !== null) {
      const d = this.nComponents;
      for (let k = 0; k < d; k++) value += point[k] * this.loading[gene * d + k];
    }
    return value;
  }

  // Expression of every gene at one point (an array of n_components numbers).
  profile(point) {
    const samplePart = this.samplePart(point);
    const parts = this.geneParts();
    const values = new Float32Array(this.nGenes);
    for (let j = 0; j < this.nGenes; j++) {
      values[j] = this.pair(samplePart, parts, j * this.width, point, j);
    }
    return values;
  }

  // Expression of one gene at many points (flat, n x n_components).
  gene(gene, points) {
    const d = this.nComponents;
    const part = this.genePart(gene, new Float32Array(this.width));
    const values = new Float32Array(points.length / d);
    for (let i = 0; i < values.length; i++) {
      const point = points.subarray(i * d, (i + 1) * d);
      values[i] = this.pair(this.samplePart(point), part, 0, point, gene);
    }
    return values;
  }
}

if (typeof module !== "undefined") module.exports = { FembedDecoder, fembedArray };
