// The whole stories of the Kubernetes engine, on a real cluster. This module is
// only ever built in the workspace of go.work, beside the root module and
// test/cluster, which it drives and which are published nowhere under a version
// that it could name: so it names none, and all of its requirements are theirs.
module github.com/greenroom-dev/greenroom/test/e2e

go 1.26.0
