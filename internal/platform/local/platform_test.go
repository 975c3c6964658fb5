package local

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVersionRunsWithAllItsReplicas(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	s.Version.Run.Replicas = 2
	b.ensure(s)
	st := b.awaitReady("api@1", 2)
	pids := map[float64]bool{}
	for _, i := range st.Instances {
		var got struct {
			PID int `json:"pid"`
		}
		if err := json.Unmarshal([]byte(get(t, i.Addr, "/environ")), &got); err != nil {
			t.Fatal(err)
		}
		if got.PID != i.PID {
			t.Errorf("instance %s is process %d, status says %d", i.ID, got.PID, i.PID)
		}
		pids[float64(got.PID)] = true
	}
	if len(pids) != 2 {
		t.Errorf("want two processes, got %v", pids)
	}
	b.ensure(s)
	if again := b.Observe()["api@1"]; len(again.Instances) != 2 {
		t.Errorf("ensured twice, it has %d instances", len(again.Instances))
	}
}

func TestServiceSeesExactlyItsEnvironment(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	file := filepath.Join(t.TempDir(), "secrets.env")
	writeFile(t, file, "# secrets\nexport TOKEN='a b'\nLEVEL=file\nQUOTED=\"x\\ny\"\nEMPTY=\n")
	s.Version.Run.Env = map[string]string{"LEVEL": "own", "GREENROOM_URL_CHAT": "own"}
	s.Version.Run.EnvFile = file
	s.Env = map[string]string{"GREENROOM_URL_CHAT": "http://127.1.2.3:4"}
	t.Setenv("NOT_DECLARED", "leak")
	t.Setenv("HOME", "/home/somebody")
	t.Setenv("LANG", "")
	t.Setenv("TMPDIR", "/var/tmp")
	b.ensure(s)
	i := b.awaitReady("api@1", 1).Instances[0]
	var got struct {
		Env, Args []string
		Dir       string
	}
	if err := json.Unmarshal([]byte(get(t, i.Addr, "/environ")), &got); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(i.Addr, ":")
	want := []string{
		"EMPTY=", "GREENROOM_INSTANCE=" + i.ID, "GREENROOM_URL_CHAT=http://127.1.2.3:4", "HOME=" + os.Getenv("HOME"),
		"HOST=127.0.0.1", "LANG=C.UTF-8", "LEVEL=own", "PATH=" + os.Getenv("PATH"), "PORT=" + port,
		"QUOTED=x\ny", "TMPDIR=/var/tmp", "TOKEN=a b",
	}
	slices.Sort(got.Env)
	if diff := cmp.Diff(want, got.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(s.Version.Run.Command, got.Args); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if got.Dir != s.Version.Run.Dir {
		t.Errorf("runs in %s, want %s", got.Dir, s.Version.Run.Dir)
	}
}

func TestFolderIsForOnePlatform(t *testing.T) {
	b := newBench(t)
	if _, err := New(Options{Dir: b.dir, Shim: shimCommand()}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second platform in one folder: got error %v, want ErrInUse", err)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
