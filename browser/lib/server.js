// Serves a built site on 127.0.0.1 as GitHub Pages does: below a sub-path, gzip, ETag, ten minutes
// of caching, 404.html with status 404, a folder's index.html, and nothing made up (a page without
// its .html is not found). Knows files, no check.

import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import zlib from "node:zlib";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "application/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".pdf": "application/pdf",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json; charset=utf-8",
  ".woff2": "font/woff2",
  ".xml": "application/xml; charset=utf-8",
};
const COMPRESSED = new Set([
  ".css", ".html", ".js", ".json", ".svg", ".txt", ".wasm", ".webmanifest", ".xml",
]);

/** A running server of one site; `folder` may be changed to another build of the site. */
export class Site {
  #server;
  #ready = new Map();

  /** Starts a server on a free port of 127.0.0.1 for the site in `folder`, below `base`. */
  static async start(folder, base) {
    const site = new Site();
    site.folder = folder;
    site.base = base;
    site.#server = http.createServer((request, response) => site.#answer(request, response));
    await new Promise((resolve, reject) => {
      site.#server.once("error", reject);
      site.#server.listen(0, "127.0.0.1", resolve);
    });
    site.origin = `http://127.0.0.1:${site.#server.address().port}`;
    return site;
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** The file for a decoded path below the base, or `undefined`. */
  #find(wanted) {
    const file = path.join(this.folder, wanted.endsWith("/") ? `${wanted}index.html` : wanted);
    if (!file.startsWith(this.folder + path.sep)) return undefined;
    return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ? file : undefined;
  }

  #load(file) {
    const changed = fs.statSync(file).mtimeMs;
    let ready = this.#ready.get(file);
    if (ready?.changed !== changed) {
      const bytes = fs.readFileSync(file);
      const ending = path.extname(file);
      ready = {
        changed,
        bytes,
        type: TYPES[ending] ?? "application/octet-stream",
        gzip: COMPRESSED.has(ending) ? zlib.gzipSync(bytes, { level: 6 }) : undefined,
        etag: `"${crypto.createHash("sha256").update(bytes).digest("hex").slice(0, 16)}"`,
      };
      this.#ready.set(file, ready);
    }
    return ready;
  }

  #answer(request, response) {
    let wanted;
    try {
      wanted = decodeURIComponent(new URL(request.url, "http://127.0.0.1").pathname);
    } catch {
      response.writeHead(400).end();
      return;
    }
    if (`${wanted}/` === this.base) {
      response.writeHead(301, { Location: this.base }).end();
      return;
    }
    const found = wanted.startsWith(this.base)
      ? this.#find(`/${wanted.slice(this.base.length)}`)
      : undefined;
    const file = found ?? this.#find("/404.html");
    if (!file) {
      response.writeHead(404, { "Content-Type": "text/plain" }).end("not found");
      return;
    }
    const { bytes, gzip, type, etag } = this.#load(file);
    const headers = {
      "Content-Type": type,
      "Cache-Control": "max-age=600",
      ETag: etag,
      Vary: "Accept-Encoding",
    };
    if (found && request.headers["if-none-match"] === etag) {
      response.writeHead(304, headers).end();
      return;
    }
    const packed = gzip && /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
    const body = packed ? gzip : bytes;
    if (packed) headers["Content-Encoding"] = "gzip";
    headers["Content-Length"] = body.length;
    response.writeHead(found ? 200 : 404, headers);
    response.end(request.method === "HEAD" ? undefined : body);
  }

  /** Bytes of a file of the site as they are sent, gzip where it is compressed. */
  sent(file) {
    const { bytes, gzip } = this.#load(path.join(this.folder, file));
    return (gzip ?? bytes).length;
  }
}
