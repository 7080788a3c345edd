#!/usr/bin/env bash
# Generates the stubs of the wire contract into mmsmov1, or into DIR: generate.sh [DIR]
# The contract's files stay as they are: their package for Go is given here.
set -euo pipefail
cd "$(dirname "$0")"

out=$(realpath "${1:-mmsmov1}")
root=../..
tools=$(realpath -m "$root/build/tools/go-client")
package=github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1

install() {
  [ -x "$tools/$3/$1" ] || GOBIN=$tools/$3 GOFLAGS= go install "$2@$3"
  printf '%s' "$tools/$3/$1"
}
messages=$(install protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go v1.36.6)
services=$(install protoc-gen-go-grpc google.golang.org/grpc/cmd/protoc-gen-go-grpc v1.5.1)

files=$(cd "$root/proto" && echo mmsmo/v1/*.proto)
options="module=$package"
for file in $files; do options="$options,M$file=$package"; done
# shellcheck disable=SC2086  # one argument a file
protoc --proto_path="$root/proto" \
  --plugin=protoc-gen-go="$messages" --go_out="$out" --go_opt="$options" \
  --plugin=protoc-gen-go-grpc="$services" --go-grpc_out="$out" --go-grpc_opt="$options" $files
