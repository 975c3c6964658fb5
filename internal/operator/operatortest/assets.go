package operatortest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// assetsCommand finds the binaries, and with --build makes them.
const assetsCommand = "github.com/greenroom-dev/greenroom/test/cluster/cmd"

// assets are paths on this machine, as test/cluster's command prints them.
type assets struct {
	Etcd      string `json:"etcd"`
	APIServer string `json:"apiServer"`
	Rollouts  string `json:"rollouts"` // a manifest with Argo's CRDs among other objects
	Missing   string `json:"missing"`  // what is not at hand
}

// findAssets skips the test where the binaries are not at hand, unless
// CI=true: then it makes them.
func findAssets(t testing.TB) assets {
	t.Helper()
	args := []string{"run", assetsCommand, "assets"}
	if os.Getenv("CI") == "true" {
		args = append(args, "--build")
	}
	var a assets
	if err := json.Unmarshal(goCommand(t, args...), &a); err != nil {
		t.Fatalf("read where the API server's binaries are: %v", err)
	}
	if a.Missing != "" {
		t.Skipf("%s; make them with: go run ./test/cluster/cmd assets --build", a.Missing)
	}
	return a
}

// crdPaths are the files with the custom resources of greenroom, Istio and
// Argo.
func crdPaths(t testing.TB, a assets) []string {
	t.Helper()
	ours := strings.TrimSpace(string(goCommand(t, "list", "-m", "-f", "{{.Dir}}", "github.com/greenroom-dev/greenroom")))
	istio := strings.TrimSpace(string(goCommand(t, "list", "-m", "-f", "{{.Dir}}", "istio.io/api")))
	return []string{
		filepath.Join(ours, "deploy", "kustomize", "crd"),
		filepath.Join(istio, "kubernetes", "customresourcedefinitions.gen.yaml"),
		a.Rollouts,
	}
}

func goCommand(t testing.TB, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v: %s", strings.Join(args, " "), err, complaint.Bytes())
	}
	return out
}
