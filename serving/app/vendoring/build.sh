#!/bin/sh
# Makes ../static/vendor/tfjs.js anew from the packages that package-lock.json pins. For maintainers: the
# result is in Git, so neither users nor tests need Node or a network. Needs npm and its registry.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp "$here"/package.json "$here"/package-lock.json "$here"/entry.js "$here"/util.js "$scratch"
cd "$scratch"
npm ci --ignore-scripts --no-audit --no-fund --silent
version=$(node -p 'require("@tensorflow/tfjs-core/package.json").version')
npx --no-install esbuild entry.js --bundle --minify --format=esm --target=es2020 --legal-comments=none \
  --alias:util=./util.js --log-level=error --outfile=tfjs.js \
  --banner:js="/* TensorFlow.js $version: tfjs-core, tfjs-converter, tfjs-backend-cpu. Apache-2.0; licences in tfjs.LICENSE.txt */"
cp tfjs.js node_modules/@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm "$here/../static/vendor"
ls -l "$here/../static/vendor"
