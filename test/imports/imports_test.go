// Package imports holds the tree's packages to what they may import.
package imports

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/greenroom-dev/greenroom"

func list(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// The pure cores are shared by both engines and must stay free of them.
func TestCoresImportNothingOfOurs(t *testing.T) {
	for _, core := range []string{"release", "route", "fleet", "durable", "process", "breakglass", "notify", "gateway/field", "gateway/socket"} {
		path := module + "/internal/" + core
		for _, dep := range list(t, "-deps", path) {
			if dep != path && strings.HasPrefix(dep, module) || strings.HasPrefix(dep, "k8s.io/") {
				t.Errorf("internal/%s imports %s", core, dep)
			}
		}
	}
}

// What reads messages, and what carries them, knows nothing of what they are
// for.
func TestCarriersImportNoGateway(t *testing.T) {
	for carrier, but := range map[string]string{"http1": "field", "forward": "socket"} {
		path := module + "/internal/gateway/" + carrier
		for _, dep := range list(t, "-deps", path) {
			if strings.HasPrefix(dep, module) && dep != path && dep != module+"/internal/gateway/"+but {
				t.Errorf("gateway/%s imports %s", carrier, dep)
			}
		}
	}
}

// A core that can do I/O or read the clock is no pure function any more.
func TestCoresDoNoIO(t *testing.T) {
	for _, core := range []string{"release", "route", "calendar", "platform/kubernetes"} {
		imports := list(t, "-f", `{{join .Imports " "}}`, module+"/internal/"+core)
		for _, forbidden := range []string{"os", "net", "net/http", "log", "log/slog", "context", "sync", "math/rand", "crypto/rand"} {
			if slices.Contains(imports, forbidden) {
				t.Errorf("internal/%s imports %s", core, forbidden)
			}
		}
	}
}

func TestEmbeddedGreenroomLinksNoKubernetes(t *testing.T) {
	for _, pkg := range []string{"cmd/greenroom", "internal/command"} {
		for _, dep := range list(t, "-deps", module+"/"+pkg) {
			if strings.HasPrefix(dep, "k8s.io/") || strings.HasPrefix(dep, "sigs.k8s.io/") || strings.HasPrefix(dep, "istio.io/") {
				t.Errorf("%s links %s", pkg, dep)
			}
		}
	}
}

// The state of a fleet in a cluster lies in the cluster.
func TestKubernetesEngineLinksNoStoreOnDisk(t *testing.T) {
	for _, pkg := range []string{"cmd/greenroom-operator", "cmd/kubectl-greenroom"} {
		for _, dep := range list(t, "-deps", module+"/"+pkg) {
			if strings.HasPrefix(dep, "go.etcd.io/bbolt") || dep == module+"/internal/store" {
				t.Errorf("%s links %s", pkg, dep)
			}
		}
	}
}

// A clientset brings the clients of every kind that Kubernetes has, and the
// program's code is half of the memory that the operator takes.
func TestOperatorUsesNoClientset(t *testing.T) {
	for _, line := range list(t, "-deps", "-f", `{{if .Module}}{{if .Module.Main}}{{$p := .ImportPath}}{{range .Imports}}{{$p}}>{{.}}{{"\n"}}{{end}}{{end}}{{end}}`, module+"/cmd/greenroom-operator") {
		if pkg, dep, _ := strings.Cut(line, ">"); dep == "k8s.io/client-go/kubernetes" {
			t.Errorf("%s imports %s: take the client of one group, from its typed packages", pkg, dep)
		}
	}
}

// kubectl greenroom asks the operator; it is neither that nor the other engine.
func TestKubectlGreenroomLinksNoEngine(t *testing.T) {
	for _, dep := range list(t, "-deps", module+"/cmd/kubectl-greenroom") {
		for _, engine := range []string{"app", "cli", "gateway", "platform/local", "store", "controller", "httpapi", "operator"} {
			if path := module + "/internal/" + engine; dep == path || strings.HasPrefix(dep, path+"/") {
				t.Errorf("cmd/kubectl-greenroom links %s", dep)
			}
		}
	}
}

// What a package's comment says it imports of greenroom is all that it imports.
func TestImportsAsTheirCommentsSay(t *testing.T) {
	said := map[string][]string{
		"internal/calendar":         {"api/v1alpha1", "internal/release"},
		"internal/config":           {"api/v1alpha1", "internal/fleet", "internal/spelling"},
		"internal/controller":       {"internal/release"},
		"internal/dashboard":        {"client", "internal/httpapi", "internal/login", "internal/signon", "internal/passpage"},
		"internal/hook":             {"internal/fleet", "internal/process"},
		"internal/login":            {"internal/httpapi"},
		"internal/operator/podlogs": {"client"},
		"internal/pass":             {"internal/durable"},
		"internal/passpage":         {"internal/pass"},
		"internal/platform/local":   {"internal/fleet", "internal/durable", "internal/process"},
		"internal/signon":           {"internal/httpapi"},
		"internal/stage":            {"internal/release"},
		"internal/store":            {"internal/durable", "internal/pass"},
	}
	found := 0
	for _, edge := range list(t, "-f", `{{$p := .ImportPath}}{{range .Imports}}{{$p}}={{.}} {{end}}`, module+"/internal/...") {
		pkg, imported, _ := strings.Cut(strings.TrimPrefix(edge, module+"/"), "=")
		ours, isOurs := strings.CutPrefix(imported, module+"/")
		if may, ok := said[pkg]; ok && isOurs {
			found++
			if !slices.Contains(may, ours) {
				t.Errorf("%s imports %s, and its comment does not say so", pkg, ours)
			}
		}
	}
	if found < len(said) {
		t.Errorf("only %d imports were found in %d packages", found, len(said))
	}
}

// The library that services link brings nothing along.
func TestPropagateImportsTheStandardLibraryOnly(t *testing.T) {
	for _, dep := range list(t, "-deps", module+"/propagate") {
		if strings.Contains(strings.Split(dep, "/")[0], ".") && dep != module+"/propagate" {
			t.Errorf("propagate imports %s", dep)
		}
	}
}

// Each layer knows only those below it.
func TestLayers(t *testing.T) {
	for pkg, forbidden := range map[string][]string{
		"internal/gateway":             {"internal/release", "internal/controller", "internal/platform", "internal/store", "internal/httpapi"},
		"internal/platform/local":      {"internal/release", "internal/controller", "internal/gateway", "internal/store"},
		"internal/controller":          {"internal/gateway", "internal/platform", "internal/store", "internal/httpapi"},
		"internal/platform/kubernetes": {"internal/gateway", "internal/platform/local", "internal/store", "internal/controller", "internal/config", "internal/fleet"},
		"api/v1alpha1":                 {"api/v1alpha1/crd", "internal"},
		"api/v1alpha1/crd":             {"internal"},
		"internal/command":             {"internal/app", "internal/cli", "internal/gateway", "internal/platform", "internal/store", "internal/controller", "internal/operator"},
		"internal/store":               {"internal/release", "internal/controller"},
		"internal/calendar":            {"internal/config", "internal/controller", "internal/store", "api/v1alpha1/crd"},
		"internal/passpage":            {"internal/gateway", "internal/operator", "internal/release"},
		"internal/operator/journal":    {"internal/gateway", "internal/platform/local", "internal/store", "internal/controller", "internal/app"},
		"internal/operator/passbook":   {"internal/gateway", "internal/platform/local", "internal/store", "internal/controller", "internal/app"},
		"internal/operator/job":        {"internal/gateway", "internal/platform/local", "internal/store", "internal/controller", "internal/app"},
		"internal/operator/podlogs":    {"internal/gateway", "internal/platform", "internal/store", "internal/controller", "internal/app"},
		"internal/operator/stagedoor":  {"internal/gateway", "internal/platform", "internal/store", "internal/controller", "internal/app"},
		"internal/operator/pages":      {"internal/gateway", "internal/platform/local", "internal/store", "internal/controller", "internal/app"},
		"internal/signon":              {"internal/gateway", "internal/platform", "internal/app", "internal/operator", "internal/dashboard", "internal/login"},
		"internal/login":               {"internal/gateway", "internal/platform", "internal/app", "internal/operator", "internal/dashboard"},
		"internal/dashboard":           {"internal/gateway", "internal/platform", "internal/app", "internal/operator"},
		"internal/httpapi":             {"internal/gateway", "internal/platform", "internal/store", "internal/app"},
		"client":                       {"internal"},
	} {
		for _, dep := range list(t, "-deps", module+"/"+pkg) {
			for _, f := range forbidden {
				if dep == module+"/"+f || strings.HasPrefix(dep, module+"/"+f+"/") {
					t.Errorf("%s imports %s", pkg, dep)
				}
			}
		}
	}
}
