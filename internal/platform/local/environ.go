package local

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// inherited are the variables that every service gets from greenroom's own
// environment, with what they are where greenroom has none.
var inherited = [...]struct{ name, otherwise string }{
	{"PATH", "/usr/local/bin:/usr/bin:/bin"},
	{"HOME", "/"},
	{"LANG", "C.UTF-8"},
	{"TMPDIR", "/tmp"},
}

// environ returns the whole environment of one start: what is inherited, then
// the version's file, the version's own, the engine's, and last what says which
// instance this is. Later ones win. The file is read anew and kept nowhere.
func environ(spec Spec, rec startRecord) ([]string, error) {
	env := make(map[string]string)
	for _, v := range inherited {
		env[v.name] = v.otherwise
		if own := os.Getenv(v.name); own != "" {
			env[v.name] = own
		}
	}
	run := spec.Version.Run
	if run.EnvFile != "" {
		declared, err := readEnvFile(run.EnvFile)
		if err != nil {
			return nil, err
		}
		maps.Copy(env, declared)
	}
	maps.Copy(env, run.Env)
	maps.Copy(env, spec.Env)
	env["HOST"] = "127.0.0.1"
	env["PORT"] = strconv.Itoa(rec.Port)
	env["GREENROOM_INSTANCE"] = rec.ID

	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list, nil
}

// readEnvFile reads NAME=VALUE lines. Empty lines and those that begin with #
// are left out, and so is an "export " in front. A value may stand in single
// quotes (taken as it is) or double quotes (with the escapes of Go); otherwise
// it is the rest of the line without the space around it. Nothing is expanded.
// Errors name the file and line, and never a value, since these are secrets.
func readEnvFile(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read envFile: %w", err)
	}
	defer f.Close()
	env := make(map[string]string)
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, why := parseEnvLine(strings.TrimPrefix(line, "export "))
		if why != "" {
			return nil, fmt.Errorf("envFile %s:%d: %s", filepath.Base(path), n, why)
		}
		env[name] = value
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("envFile %s:%d: %w", filepath.Base(path), n+1, err)
	}
	return env, nil
}

// parseEnvLine returns why the line is none, in words that hold nothing of it.
func parseEnvLine(line string) (name, value, why string) {
	name, value, ok := strings.Cut(line, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case !ok:
		return "", "", "want NAME=VALUE, but the line has no ="
	case !validEnvName(name):
		return "", "", "the name before = may hold letters, digits and _ only, and begins with no digit"
	case strings.ContainsRune(value, 0):
		return "", "", "the value holds a NUL byte"
	case strings.HasPrefix(value, `"`):
		unquoted, err := strconv.Unquote(value)
		if err != nil || strings.ContainsRune(unquoted, 0) {
			return "", "", "the value's double quotes are not closed, or hold an unknown escape"
		}
		return name, unquoted, ""
	case strings.HasPrefix(value, "'"):
		if len(value) < 2 || strings.IndexByte(value[1:], '\'') != len(value)-2 {
			return "", "", "the value's single quotes are not closed, or more follows them"
		}
		return name, value[1 : len(value)-1], ""
	}
	return name, value, ""
}

func validEnvName(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
