package docs

import (
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	row   = regexp.MustCompile("(?m)^\\| (`[^|]+) \\|")
	code  = regexp.MustCompile("`([^`]+)`")
	start = regexp.MustCompile(`\b[Ss]tarts? at\b`)
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

// The map of docs/architecture.md names each package below internal by its own
// name; elsewhere that of a folder above will do.
func TestMapNamesEveryPackage(t *testing.T) {
	var named []string
	for _, m := range row.FindAllStringSubmatch(pages(t)["docs/architecture.md"], -1) {
		for _, one := range code.FindAllStringSubmatch(m[1], -1) {
			named = append(named, one[1])
		}
	}
	packages := list(t, module+"/...")
	for i, p := range packages {
		packages[i] = strings.TrimPrefix(p, module+"/")
	}
	for _, p := range packages {
		if !slices.ContainsFunc(named, func(n string) bool {
			return p == n || strings.HasPrefix(p, n+"/") && !strings.HasPrefix(p, "internal/")
		}) {
			t.Errorf("docs/architecture.md has no %s in its map", p)
		}
	}
	for _, n := range named {
		if !slices.ContainsFunc(packages, func(p string) bool { return p == n || strings.HasPrefix(p, n+"/") }) {
			t.Errorf("docs/architecture.md names %s in its map, which is not there", n)
		}
	}
}

// A package's comment says where a reader starts.
func TestPackageCommentsSayWhereToStart(t *testing.T) {
	for _, dir := range list(t, "-f", `{{if ne .Name "main"}}{{if .GoFiles}}{{.Dir}}{{end}}{{end}}`,
		module+"/internal/...", module+"/api/...", module+"/client", module+"/deploy/...", module+"/propagate/...") {
		if !start.MatchString(comment(t, dir)) {
			t.Errorf("the comment of the package in %s does not say where to start", dir)
		}
	}
}

// comment is the comment of the package in a folder.
func comment(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil {
			return f.Doc.Text()
		}
	}
	return ""
}
