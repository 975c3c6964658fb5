//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const pluginProgram = "github.com/greenroom-dev/greenroom/cmd/kubectl-greenroom"

// installPlugin builds kubectl greenroom and puts its folder where kubectl
// looks for plugins.
func (st *story) installPlugin(t *testing.T) {
	t.Helper()
	image, err := st.GoImage(st.ctx, "", pluginProgram)
	if err != nil {
		t.Fatal(err)
	}
	st.plugins = filepath.Dir(image.Files[0].Source)
}

// said is what a command said, and how it ended.
type said struct {
	out, complaint string
	code           int
}

// greenroom runs kubectl greenroom in the fleet's namespace, where nobody sits
// at a terminal.
func (st *story) greenroom(t *testing.T, stdin string, args ...string) said {
	t.Helper()
	cmd := exec.CommandContext(st.ctx, "/usr/bin/env", append([]string{"kubectl", "greenroom", "-n", st.fleet.Namespace}, args...)...)
	for _, kv := range st.Environ() {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			kv = "PATH=" + st.plugins + string(os.PathListSeparator) + path
		}
		cmd.Env = append(cmd.Env, kv)
	}
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("kubectl greenroom %s: %v", strings.Join(args, " "), err)
	}
	return said{out.String(), complaint.String(), cmd.ProcessState.ExitCode()}
}

// does runs kubectl greenroom, which has to end with 0, and returns what it said.
func (st *story) does(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	got := st.greenroom(t, stdin, args...)
	if got.code != 0 {
		t.Fatalf("kubectl greenroom %s ended with %d: %s%s", strings.Join(args, " "), got.code, got.out, got.complaint)
	}
	return got.out
}

// verbs does by kubectl greenroom what people do, and what they should not.
func (st *story) verbs(t *testing.T) {
	const v1, v2 = "api=v1 chat=v1 gift=v1", "api=v2 chat=v2 gift=v2"
	for _, c := range []struct {
		does  string
		stdin string
		code  int
		says  string // in what it said, or complained of
		then  string // what ordinary requests get
	}{
		{"status", "", 0, "Serving baseline", v1},
		{"promote r42", "", 3, "--yes", v1}, // nobody is there to be asked
		{"promote r99 --yes", "", 2, "r99", v1},
		{"promote r42 --yes --dry-run", "", 0, "r42 can be promoted", v1},
		{"release open -f -", "kind: Release", 2, "", v1},
		{"status --operator-namespace nowhere", "", 4, "nowhere", v1},
		{"promote r42 --yes --reason try", "", 0, "r42 is live", v2},
		{"promote r42 --yes", "", 0, "r42 is live already", v2},
		{"status", "", 0, "Serving r42 since", v2},
		{"release list", "", 0, "Live", v2},
		{"rollback --yes --reason looked-bad", "", 0, "r42 is rolled back", v1},
		{"status", "", 0, "Serving baseline", v1},
		{"events --release r42", "", 0, "looked-bad", v1},
		{"pass list", "", 0, "r42", v1},
	} {
		got := st.greenroom(t, c.stdin, strings.Fields(c.does)...)
		if got.code != c.code || !strings.Contains(got.out+got.complaint, c.says) {
			t.Errorf("kubectl greenroom %s ended with %d, want %d and %q:\n%s%s", c.does, got.code, c.code, c.says, got.out, got.complaint)
		}
		if err := st.servesPath(c.then); err != nil {
			t.Errorf("after %s: %v", c.does, err)
		}
	}
}

// servesPath complains unless every gateway pod gives an ordinary request the
// path of versions.
func (st *story) servesPath(want string) error {
	pods, err := st.gatewayPods()
	if err != nil {
		return err
	}
	for _, p := range pods {
		r, err := p.ask(st.fleet.Host, "/")
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		if got := r.Answer.String(); r.status != 200 || got != want {
			return fmt.Errorf("%s gives %d %s, want %s", p.Name, r.status, got, want)
		}
	}
	return nil
}
