#!/usr/bin/env bash
# Generates the stubs of the wire contract into src/generated.
set -euo pipefail
cd "$(dirname "$0")"

proto=../../proto
rm -rf src/generated && mkdir -p src/generated
options=esModuleInterop=true,env=node,importSuffix=.js,outputServices=generic-definitions
options+=,exportCommonSymbols=false,useExactTypes=false
protoc --proto_path="$proto" --plugin=node_modules/.bin/protoc-gen-ts_proto \
  --ts_proto_out=src/generated --ts_proto_opt="$options" "$proto"/mmsmo/v1/*.proto "$proto"/google/rpc/*.proto
