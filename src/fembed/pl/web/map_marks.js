// The interactive map: points drawn by WebGL or, where there is none, by the plain canvas.
"use strict";

// A signed distance for each shape, in halves of its size: below 0 inside.
const VERTEX = `#version 300 es
in vec2 place; in vec4 colour; in float shape;
uniform vec2 centre, factor; uniform float size;
flat out vec4 fill; flat out int form; flat out float projected; flat out float extent;
void main() {
  gl_Position = vec4((place - centre) * factor, 0.0, 1.0);
  projected = step(8.0, shape);
  form = int(shape - 8.0 * projected + 0.5);
  float larger = projected > 0.5 ? 1.45 : (form == 1 || form == 4) ? 1.25 : form == 0 ? 1.0 : 1.1;
  extent = size * larger;
  gl_PointSize = extent + 2.0;
  fill = colour;
}`;
const FRAGMENT = `#version 300 es
precision highp float;
flat in vec4 fill; flat in int form; flat in float projected; flat in float extent;
uniform vec3 edge; uniform float line;
out vec4 ink;
float bars(vec2 a) { return min(max(a.x - 1.0, a.y - 0.36), max(a.x - 0.36, a.y - 1.0)); }
float shapeAt(vec2 p) {
  vec2 a = abs(p);
  if (form == 1) return max(a.x * 0.866 + (p.y + 0.25) * 0.5, -(p.y + 0.25)) - 0.62;
  if (form == 2) return max(a.x, a.y) - 0.86;
  if (form == 3) return (a.x + a.y - 1.05) * 0.7071;
  if (form == 4) return max(a.x * 0.866 - (p.y - 0.25) * 0.5, p.y - 0.25) - 0.62;
  if (form == 5) return bars(a);
  if (form == 6) return bars(abs(vec2(p.x + p.y, p.x - p.y) * 0.7071));
  return length(p) - 1.0;
}
void main() {
  float half_ = 0.5 * extent;
  vec2 p = (gl_PointCoord - 0.5) * (extent + 2.0) / half_;
  float away = shapeAt(vec2(p.x, -p.y)) * half_;
  float cover = clamp(0.5 - away, 0.0, 1.0);
  float width = projected > 0.5 ? max(line, 1.0) : line;
  vec3 border = projected > 0.5 ? vec3(0.13) : edge;
  float rim = width > 0.0 ? clamp(away + width + 0.5, 0.0, 1.0) : 0.0;
  float alpha = fill.a * cover;
  ink = vec4(mix(fill.rgb, border, rim) * alpha, alpha);
}`;

class Marks {
  constructor(canvas, count) {
    this.canvas = canvas;
    this.places = new Float32Array(2 * count);
    this.colours = new Uint8Array(4 * count);
    this.shapes = new Uint8Array(count); // the symbol's number; 8 more for a projected sample
    this.order = new Uint32Array(0); // which are drawn, from below
    this.changed = { places: true, colours: true, shapes: true, order: true };
    this.gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    if (this.gl !== null && !this.prepare()) this.gl = null;
    if (this.gl === null) this.plain = canvas.getContext("2d");
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.prepare();
      Object.keys(this.changed).forEach((name) => { this.changed[name] = true; });
      redraw();
    });
  }

  prepare() {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return false;
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.buffers = {};
    const attribute = (name, place, size, type, normalized) => {
      this.buffers[name] = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      const at = gl.getAttribLocation(program, place);
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, size, type, normalized, 0, 0);
    };
    attribute("places", "place", 2, gl.FLOAT, false);
    attribute("colours", "colour", 4, gl.UNSIGNED_BYTE, true);
    attribute("shapes", "shape", 1, gl.UNSIGNED_BYTE, false);
    this.buffers.order = gl.createBuffer();
    this.uniform = (name) => gl.getUniformLocation(program, name);
    return true;
  }

  // `size` and `line` (the width of the border) in pixels of the screen.
  draw(view, size, line, edge) {
    if (this.gl === null) this.drawPlainly(view, size);
    else this.drawByGraphicsCard(view, size, line, edge);
  }

  drawByGraphicsCard(view, size, line, edge) {
    const gl = this.gl, ratio = view.ratio;
    for (const name of ["places", "colours", "shapes", "order"]) {
      if (!this.changed[name]) continue;
      const kind = name === "order" ? gl.ELEMENT_ARRAY_BUFFER : gl.ARRAY_BUFFER;
      gl.bindBuffer(kind, this.buffers[name]);
      gl.bufferData(kind, this[name], gl.DYNAMIC_DRAW);
      this.changed[name] = false;
    }
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(this.uniform("centre"), view.x, view.y);
    gl.uniform2f(this.uniform("factor"), 2 * view.sx / view.width, 2 * view.sy / view.height);
    gl.uniform1f(this.uniform("size"), size * ratio);
    gl.uniform1f(this.uniform("line"), line * ratio);
    gl.uniform3f(this.uniform("edge"), ...edge.map((c) => c / 255));
    gl.drawElements(gl.POINTS, this.order.length, gl.UNSIGNED_INT, 0);
  }

  drawPlainly(view, size) {
    const pen = this.plain, corners = { 2: 4, 3: 4, 1: 3, 4: 3, 5: 4, 6: 4 };
    const turned = { 1: -Math.PI / 2, 2: Math.PI / 4, 3: 0, 4: Math.PI / 2, 5: 0, 6: Math.PI / 4 };
    pen.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    pen.clearRect(0, 0, view.width, view.height);
    for (const i of this.order) {
      const [x, y] = toPixel(this.places[2 * i], this.places[2 * i + 1]);
      if (x < -9 || y < -9 || x > view.width + 9 || y > view.height + 9) continue;
      const form = this.shapes[i] % 8, [r, g, b, a] = this.colours.subarray(4 * i, 4 * i + 4);
      pen.fillStyle = `rgba(${r},${g},${b},${a / 255})`;
      pen.beginPath();
      if (form === 0) pen.arc(x, y, size / 2, 0, 2 * Math.PI);
      else {
        for (let k = 0; k < corners[form]; k++) {
          const angle = turned[form] + 2 * Math.PI * k / corners[form];
          pen.lineTo(x + 0.65 * size * Math.cos(angle), y + 0.65 * size * Math.sin(angle));
        }
      }
      pen.fill();
    }
  }
}
