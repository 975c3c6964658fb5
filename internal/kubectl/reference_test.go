package kubectl

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/command"
	"github.com/greenroom-dev/greenroom/internal/command/commandtest"
	"github.com/greenroom-dev/greenroom/internal/golden"
)

const referenceHead = `<!-- Generated from the commands by go generate ./internal/kubectl; change them instead. -->
# kubectl greenroom

The commands of [greenroom](cli.md) over the operator of a [cluster](kubernetes.md): the same words, screens, ` + "`-o json`" + ` and [exit codes](cli.md#exit-codes). Put ` + "`kubectl-greenroom`" + ` in PATH (` + "`go install github.com/greenroom-dev/greenroom/cmd/kubectl-greenroom@latest`" + `), and kubectl finds it.

Not here: ` + "`init`, `check`, `up`, `down`, `demo`, `token`, `fleet diff` and `fleet apply`" + `. A Fleet is an object of the cluster: ` + "`kubectl diff` and `kubectl apply`" + `.

## How it reaches the operator

The Lease ` + "`greenroom-operator`" + ` in the operator's namespace names the pod that leads; the API server forwards a connection to its port 9090, which listens on loopback alone. No port of your machine is opened for it, but one by ` + "`dashboard`" + `, for browsers. That takes the role ` + "`greenroom-connect`" + ` in the operator's namespace. Exit code 4 tells that something of this is missing, and the message what.

## Who you are

The bearer token of your kubeconfig goes along with each request, however kubectl comes by it, and the operator asks the API server whose it is and what they may do. Whoever is shown a bearer token can use it: do not bring yours to an operator that you would not let act for you.

` + "`--service-account NAME`" + ` avoids that: it asks for a token of a ServiceAccount in the fleet's namespace that is good at the operator and nowhere else, for an hour. It takes ` + "`create` on `serviceaccounts/token`" + `, and events name the ServiceAccount. Kubeconfigs with a client certificate have no token, and need it; at the dashboard a token can be pasted too ` + "(`dashboard --paste`)" + `.
`

// TestReferenceUpToDate holds docs/kubectl.md to the commands.
func TestReferenceUpToDate(t *testing.T) {
	var out bytes.Buffer
	a := newApp(&command.Env{Stdout: &out, Getenv: func(string) string { return "" }})
	root := a.root()
	// As help is written: with what people type here.
	if _, err := root.OutOrStdout().Write(commandtest.Reference(root, "")); err != nil {
		t.Fatal(err)
	}
	got := append([]byte(referenceHead), out.Bytes()...)
	golden.Check(t, filepath.Join("..", "..", "docs", "kubectl.md"), got)
}
