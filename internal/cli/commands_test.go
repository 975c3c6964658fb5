package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/command"
)

// patience is how long a test waits for what should come soon.
const patience = 2 * time.Minute

// place is a folder with documents and a greenroom.
type place struct {
	t     *testing.T
	dir   string
	state string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := os.MkdirTemp("", "gr") // sockets bear no long paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &place{t: t, dir: dir, state: filepath.Join(dir, "state")}
}

func (p *place) write(name, text string) string {
	p.t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return file
}

func (p *place) env(more ...string) []string {
	return append([]string{
		"TEST_PART=greenroom", "GREENROOM_STATE=" + p.state, "HOME=" + p.dir, "PATH=" + os.Getenv("PATH"),
	}, more...)
}

// result is how a command ended.
type result struct {
	code        int
	out, errors string
}

// run runs a command of the real program, without a terminal.
func (p *place) run(args ...string) result {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), os.Args[0], args...)
	cmd.Dir, cmd.Env = p.dir, p.env()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// must runs a command that must end with code 0.
func (p *place) must(args ...string) result {
	p.t.Helper()
	r := p.run(args...)
	if r.code != command.Done {
		p.t.Fatalf("greenroom %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.errors)
	}
	return r
}

// running is greenroom up as a process of its own.
type running struct {
	*exec.Cmd
	out, errors *lockedBuffer
	ended       chan error
}

func (p *place) up(env []string, args ...string) *running {
	p.t.Helper()
	r := &running{Cmd: exec.Command(os.Args[0], append([]string{"up"}, args...)...), out: &lockedBuffer{}, errors: newLockedBuffer(), ended: make(chan error, 1)}
	r.Dir, r.Env, r.Stdout, r.Stderr = p.dir, p.env(env...), r.out, r.errors
	p.launch(r)
	return r
}

func (p *place) launch(r *running) {
	p.t.Helper()
	if err := r.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { r.ended <- r.Wait() }()
	p.t.Cleanup(func() { r.stop(p.t) })
	r.errors.await(p.t, "Every service is ready")
}

// stop ends greenroom and its services.
func (r *running) stop(t *testing.T) {
	t.Helper()
	_ = r.Process.Signal(syscall.SIGTERM) // it may have ended
	r.await(t)
}

func (r *running) await(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		r.ended <- err
		return err
	case <-time.After(patience):
		_ = r.Process.Kill()
		t.Fatalf("greenroom does not end: %s", r.errors)
		return nil
	}
}

// service is a declaration of a service that this test's program plays.
func (p *place) service(name, version string) string {
	return fmt.Sprintf(`{name: %s, version: %s, run: {command: [%q], env: {TEST_PART: service, ANSWER: "%s %s"}}`, name, version, os.Args[0], name, version)
}

func (p *place) fleet() string {
	return p.write("greenroom.yaml", `
apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: live}
spec:
  quiet: 1s
  edge: {listen: "127.0.0.1:0", routes: [{service: web}]}
  services:
  - `+p.service("web", "v1")+`, health: {tcp: true}, drain: 1s}
`)
}

func (p *place) release(name, services string) string {
	return p.write(name+".yaml", "apiVersion: greenroom.dev/v1alpha1\nkind: Release\nmetadata: {name: "+name+"}\nspec:\n  services: ["+services+"]\n")
}

func TestExitCodesWithoutServer(t *testing.T) {
	p := newPlace(t)
	bad := p.write("bad.yaml", "apiVersion: greenroom.dev/v1alpha1\nkind: Fleet\nmetadata: {name: live}\nspec: {edges: {}}\n")
	p.write("not.pem", "nothing")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"", command.Done, ""}, {"version", command.Done, ""}, {"help promote", command.Done, ""}, {"completion bash", command.Done, ""},
		{"promot", command.BadInput, "greenroom has no command promot; did you mean promote?"},
		{"release opne", command.BadInput, "greenroom release has no command opne; did you mean open?"},
		{"status now", command.BadInput, `greenroom status takes no arguments, and got "now"`},
		{"status --wtach", command.BadInput, "unknown flag: --wtach; greenroom status --help lists its flags"},
		{"promote a b", command.BadInput, "greenroom promote takes one name, and got a b"},
		{"promote --timeout soon", command.BadInput, `invalid argument "soon" for "--timeout" flag`},
		{"status -o yaml", command.BadInput, "-o yaml: write -o text or -o json"},
		{"check", command.BadInput, "name the document with -f"},
		{"check -f nowhere.yaml", command.BadInput, "nowhere.yaml"},
		{"check -f " + bad, command.BadInput, "edges"},
		{"up -f " + bad, command.BadInput, "edges"},
		{"up", command.BadInput, "there is no fleet yet: greenroom init writes a first document, greenroom up -f starts it"},
		{"pass revoke", command.BadInput, "greenroom pass revoke needs the pass's ID (greenroom pass list)"},
		{"release open r1", command.BadInput, "name a document with -f, or versions with --set api=./bin/api-v3"},
		{"release open r1 -f x --set a=b", command.BadInput, "-f and --set do not go together"},
		{"release open --set a=b", command.BadInput, "--set needs the release's name"},
		{"token create ci --role operater", command.BadInput, "there is no role operater; did you mean operator? There are viewer, tester, operator and admin"},
		{"token create ci --role root", command.BadInput, "there is no role root; there are viewer, tester, operator and admin"},
		{"token create the/press", command.BadInput, "the/press is no token's name: letters, digits and . _ @ -, at most 63, beginning with a letter or a digit"},
		{"release verify r1 --moment setle", command.BadInput, "there is no moment setle; did you mean settle?"},
		{"status --server https://127.0.0.1:1", command.BadInput, "--server needs an API token: --token or GREENROOM_TOKEN"},
		{"status --server 127.0.0.1:1 --token t", command.BadInput, "is no URL such as"},
		{"status --server http://192.0.2.1:1 --token t", command.BadInput, "readable to all"},
		{"status --server https://127.0.0.1:1 --token t --ca-file not.pem", command.BadInput, "not.pem holds no certificate in PEM form"},
		// Without a terminal a question is refused before anything is asked of a server.
		{"promote", command.Refused, "promote asks first, and there is no terminal to ask at; give --yes to do it, or --dry-run to look"},
		{"rollback", command.Refused, "rollback asks first"}, {"release settle", command.Refused, "settle asks first"},
		{"release abort", command.Refused, "abort asks first"}, {"down", command.Refused, "down asks first"}, {"fleet apply -f x", command.Refused, "fleet apply asks first"},
		{"status", command.Unreachable, "no such file or directory; start it with greenroom up, or name its --state or --server"},
		{"hold on --mode pages", command.BadInput, `--mode is wait, writes-only or page, not "pages"`},
		{"promote --yes", command.Unreachable, "no greenroom answers at"},
		{"events -f", command.Unreachable, "no greenroom answers at"},
		{"status --server https://127.0.0.1:1 --token t", command.Unreachable, "no greenroom answers at 127.0.0.1:1: connection refused"},
		{"down --yes", command.Done, ""},
		{"doctor -f " + bad, command.Failed, ""},
	} {
		t.Run(c.args, func(t *testing.T) {
			got := p.run(strings.Fields(c.args)...)
			if got.code != c.code || !strings.Contains(got.errors, c.says) {
				t.Errorf("exit code %d, want %d; it said %q, want %q", got.code, c.code, got.errors, c.says)
			}
			if c.code != command.Done && strings.Contains(c.args, "status") && got.out != "" {
				t.Errorf("a failure printed an answer: %s", got.out)
			}
		})
	}
}

// TestErrorsForPrograms tells what goes wrong as one line of JSON.
func TestErrorsForPrograms(t *testing.T) {
	p := newPlace(t)
	bad := p.write("bad.yaml", "apiVersion: greenroom.dev/v1alpha1\nkind: Fleet\nmetadata: {name: live}\nspec: {edges: {}}\n")
	for args, want := range map[string]command.Failure{
		"status -o json":      {Exit: command.Unreachable, Code: "unreachable", Detail: "no greenroom answers at " + p.state + "/greenroom.sock: no such file or directory", Remedy: "start it with greenroom up, or name its --state or --server"},
		"promote -o json":     {Exit: command.Refused, Code: "refused", Detail: "promote asks first, and there is no terminal to ask at; give --yes to do it, or --dry-run to look"},
		"promote a b -o json": {Exit: command.BadInput, Code: "input", Detail: "greenroom promote takes one name, and got a b"},
	} {
		got := p.run(strings.Fields(args)...)
		var f command.Failure
		if err := json.Unmarshal([]byte(got.errors), &f); err != nil || strings.Count(got.errors, "\n") != 1 {
			t.Errorf("%s: %v: %s", args, err, got.errors)
		}
		if fmt.Sprint(f) != fmt.Sprint(want) || got.code != want.Exit || got.out != "" {
			t.Errorf("%s: exit code %d with %+v, want %+v; on standard output %q", args, got.code, f, want, got.out)
		}
	}
	var f command.Failure
	if err := json.Unmarshal([]byte(p.run("check", "-o", "json", "-f", bad).errors), &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Errors) == 0 || f.Errors[0].Line != 4 || f.Errors[0].File == "" {
		t.Errorf("a bad document is told as %+v", f)
	}
}

// TestStory plays a release's whole life with the real program: every verb,
// twice, since each may be repeated.
func TestStory(t *testing.T) {
	p := newPlace(t)
	up := p.up(nil, "-f", p.fleet())
	if !strings.Contains(up.errors.String(), "The edge answers at http://127.0.0.1:") || strings.Contains(up.out.String(), "edge") {
		t.Errorf("up said %s, and on standard output %s", up.errors, up.out)
	}
	r1 := p.release("r1", p.service("web", "v2")+"}")
	says := func(want string, args ...string) {
		t.Helper()
		if got := p.must(args...); !strings.Contains(got.out, want) {
			t.Errorf("greenroom %s said %q, want %q", strings.Join(args, " "), got.out, want)
		}
	}
	refused := func(code int, want string, args ...string) {
		t.Helper()
		if got := p.run(args...); got.code != code || !strings.Contains(got.errors, want) {
			t.Errorf("greenroom %s: exit code %d, said %q, want %d and %q", strings.Join(args, " "), got.code, got.errors, code, want)
		}
	}
	refused(command.BadInput, "there is no release r1; greenroom release list shows those there are", "promote", "r1", "--yes")
	refused(command.Refused, "there is no release to promote", "promote", "--yes")
	refused(command.BadInput, `the fleet has no service "wbe"`, "logs", "wbe")
	for _, follow := range []bool{false, true} {
		refused(command.BadInput, "there is no release r11; greenroom release list shows those there are", "events", "--release", "r11", fmt.Sprintf("-f=%v", follow))
	}
	refused(command.BadInput, "what was set is not right\n--set wbe=/bin/web: no service is called `wbe`\n  did you mean `web`?", "release", "open", "r1", "--set", "wbe=/bin/web")
	refused(command.BadInput, "--set web=bin/none: there is no executable `bin/none`", "release", "open", "r1", "--set", "web=bin/none")
	refused(command.BadInput, "release R1: `R1` is not a name", "release", "open", "R1", "--set", "web=127.0.0.1:1")
	says("r1 would be opened", "release", "open", "-f", r1, "--dry-run")
	says("r1 is Previewing; ordinary requests still get baseline (web v1).", "release", "open", "-f", r1)
	says("r1 is Previewing", "release", "open", "-f", r1)
	says("r1 has no verify hooks", "release", "verify", "r1", "--no-wait")
	says("r1 has no verify hooks", "release", "verify", "r1")
	says("r1 builds on baseline (web v1) already", "release", "rebase")
	refused(command.BadInput, "it has none; spec.checklist of a Release", "release", "check", "r1", "--item", "smoke", "--go")
	refused(command.BadInput, `the fleet has no notification "chat"`, "notify", "test", "chat")
	refused(command.Done, "No events of this kind; types are such as ReleasePromoted.", "events", "--kind", "nope")
	refused(command.Done, "No such events.", "events", "--who", "nobody", "--since", "1h")
	says("sees r1 below /x, and elsewhere what everybody gets, until", "pass", "create", "r1", "--paths", "/x")
	says("The fleet would be on hold: requests for /shop, /api wait for 30s.", "hold", "on", "--routes", "/shop,/api", "--dry-run")
	refused(command.BadInput, "for longer, --mode writes-only or --mode page", "hold", "on", "--for", "5m")
	says("version v1 → v2", "release", "diff")
	says("[Previewing]", "release", "show", "r1")
	var pass struct{ ID, Token, Link string }
	if err := json.Unmarshal([]byte(p.must("pass", "create", "-o", "json", "--to", "the press").out), &pass); err != nil || pass.Token == "" || pass.Link == "" {
		t.Fatalf("the pass is %+v, %v", pass, err)
	}
	says("the press", "pass", "list")
	says("would be revoked", "pass", "revoke", pass.ID, "--dry-run")
	says("is revoked", "pass", "revoke", pass.ID, "--reason", "lost")
	says("is revoked", "pass", "revoke", pass.ID)
	says("r1 can be promoted: web v1 → v2.", "promote", "--dry-run")
	says("r1 is live; before it baseline (web v1)", "promote", "--yes")
	says("r1 is live already", "promote", "r1", "--dry-run")
	says("r1 is live already", "promote", "r1", "--yes")
	says("would be rolled back", "rollback", "--dry-run")
	says("r1 is rolled back; ordinary requests get baseline (web v1) again", "rollback", "--yes", "--reason", "a trial")
	says("r1 does not serve; there is nothing to roll back", "rollback", "r1", "--yes")
	refused(command.Refused, "there is no release to roll back", "rollback", "--yes")
	says("a trial", "events", "--release", "r1")
	says("r1 is live", "promote", "--yes")
	says("Settl", "release", "settle", "--yes", "--no-wait", "-o", "json")
	says("r1 is settled", "release", "settle", "r1", "--yes", "--timeout", "2m")
	refused(command.Refused, "r1 is", "rollback", "r1", "--yes")
	says("back", "release", "revert", "r1", "--as", "back")
	says("back is aborted", "release", "abort", "--yes")
	says("back is aborted already", "release", "abort", "back", "--yes")

	secret := strings.TrimSpace(p.must("token", "create", "ci", "--role", "operator").out)
	refused(command.Refused, "choose another name", "token", "create", "ci")
	says("operator", "token", "list")
	says("The token ci is revoked.", "token", "revoke", "ci")
	says("The token ci is revoked.", "token", "revoke", "ci")
	refused(command.BadInput, "not found", "token", "revoke", "nobody")
	if all := p.must("events", "-n", "1000").out + up.out.String() + up.errors.String(); strings.Contains(all, secret) || strings.Contains(all, pass.Token) {
		t.Error("a secret is in the events or the log")
	}

	for _, args := range [][]string{
		{"status"}, {"fleet", "show"}, {"fleet", "export"}, {"release", "list"}, {"release", "show", "r1"}, {"release", "diff", "r1"},
		{"pass", "list"}, {"token", "list"}, {"doctor"}, {"version"}, {"events", "-n", "1"}, {"fleet", "diff", "-f", "greenroom.yaml"}, {"down", "--dry-run"},
	} {
		if got := p.must(append(args, "-o", "json")...); !json.Valid([]byte(got.out)) {
			t.Errorf("greenroom %s -o json printed %s", strings.Join(args, " "), got.out)
		}
	}

	never := p.release("never", `{name: web, version: v3, run: {env: {TEST_PART: greenroom}}}`) // exits at once
	refused(command.TimedOut, "never is still Preparing after", "release", "open", "-f", never, "--timeout", "200ms")
	refused(command.Refused, "", "promote", "never", "--yes")
	failing := p.write("failing.yaml", "apiVersion: greenroom.dev/v1alpha1\nkind: Release\nmetadata: {name: failing}\nspec:\n  services: ["+p.service("web", "v4")+"}]\n  hooks: {prepare: [{name: no, run: [\"false\"]}]}\n")
	refused(command.Failed, "failing has failed", "release", "open", "-f", failing)

	says("greenroom has ended", "down", "--yes")
	if err := up.await(t); err != nil {
		t.Errorf("up ended with %v", err)
	}
	says("No greenroom runs here", "down", "--yes")
}

// TestCompletionFromServer asks as a shell does.
func TestCompletionFromServer(t *testing.T) {
	p := newPlace(t)
	if got := p.must("__complete", "rollback", "").out; got != ":4\n" {
		t.Errorf("without a server: %q", got)
	}
	p.up(nil, "-f", p.fleet())
	p.must("release", "open", "-f", p.release("r1", p.service("web", "v2")+"}"))
	p.must("token", "create", "ci")
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"promote", ""}, []string{"r1"}},
		{[]string{"rollback", ""}, nil},
		{[]string{"release", "show", "r"}, []string{"r1"}},
		{[]string{"release", "show", "x"}, nil},
		{[]string{"logs", ""}, []string{"web"}},
		{[]string{"logs", "web", "--release", ""}, []string{"r1"}},
		{[]string{"token", "revoke", ""}, []string{"ci\tviewer"}},
		{[]string{"status", "-o", ""}, []string{"text", "json"}},
	} {
		got := strings.Split(strings.TrimSpace(p.must(append([]string{"__complete"}, c.args...)...).out), "\n")
		if got = got[:len(got)-1]; !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 {
			t.Errorf("%v completes to %q, want %q", c.args, got, c.want)
		}
	}
}
