package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// maxVersion is how long a version's name may be.
const maxVersion = 64

// maxReplicas is how many processes of one version there may be.
const maxReplicas = 100

// written is a version as a document has it: in a Fleet's service or in a
// Release's.
type written struct {
	at        path
	service   string
	version   string
	source    v1alpha1.Source
	run       *v1alpha1.Run
	endpoints []string
	image     string
}

// versions completes and checks versions of one document.
type versions struct {
	*problems
	programs *executables
	reserved map[string]bool // environment variables that greenroom sets
}

// complete turns what was written into a version. What it leaves out comes
// from the version it replaces, if there is one.
func (c *versions) complete(w written, from *fleet.Version) fleet.Version {
	v := fleet.Version{Service: w.service, Source: fleet.Source(w.source)}
	if !c.oneWay(w, from) {
		return v
	}
	switch {
	case w.endpoints != nil:
		v.Endpoints = c.endpoints(w)
	case w.run == nil && from != nil && from.Run == nil:
		v.Endpoints = slices.Clone(from.Endpoints)
	default:
		run := v1alpha1.Run{}
		if w.run != nil {
			run = *w.run
		}
		var former *fleet.Run
		if from != nil {
			former = from.Run
		}
		v.Run = c.run(w.at.field("run"), run, former)
	}
	v.Digest = digest(v)
	v.Name = w.version
	switch {
	case w.version != "":
		c.versionName(w, from, v.Digest)
	case from != nil && from.Digest == v.Digest:
		v.Name = from.Name
		if v.Source == (fleet.Source{}) {
			v.Source = from.Source
		}
	default:
		v.Name = shortDigest(v.Digest)
	}
	return v
}

// oneWay checks that a version is run in exactly one way.
func (c *versions) oneWay(w written, from *fleet.Version) bool {
	switch {
	case w.image != "":
		c.at(w.at.field("image"), "write run: {command: [...]} or endpoints: [...]",
			"`image` is for Kubernetes only: here greenroom runs executables")
	case w.run != nil && w.endpoints != nil:
		c.atKey(w.at.field("endpoints"), "remove one of the two", "%s has both `run` and `endpoints`", called(w.service))
	case w.run == nil && w.endpoints == nil && from == nil:
		c.at(w.at, "write run: {command: [...]} or endpoints: [...]", "%s has neither `run` nor `endpoints`", called(w.service))
	default:
		return true
	}
	return false
}

func called(service string) string {
	if service == "" {
		return "the service"
	}
	return "the service `" + cut(service) + "`"
}

func (c *versions) versionName(w written, from *fleet.Version, digest string) {
	at := w.at.field("version")
	first := w.version[0]
	plain := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._+-", r)
	}
	switch {
	case len(w.version) > maxVersion || strings.ContainsFunc(w.version, plain) || strings.IndexByte("._+-", first) >= 0:
		c.at(at, "use letters, digits and . _ + -, at most 64, beginning with a letter or a digit", "`%s` is not a version's name", cut(w.version))
	case from != nil && from.Name == w.version && from.Digest != digest:
		c.at(at, "give it another name, or none", "version `%s` of %s serves already and is another one", cut(w.version), called(w.service))
	}
}

func (c *versions) endpoints(w written) []string {
	at := w.at.field("endpoints")
	if len(w.endpoints) == 0 {
		c.at(at, "write host:port of each instance", "`endpoints` is empty")
	}
	for i, e := range w.endpoints {
		if c.hostPort(at.index(i), e, false) && slices.Contains(w.endpoints[:i], e) {
			c.at(at.index(i), "remove one of the two", "the endpoint `%s` is given twice", cut(e))
		}
	}
	return slices.Clone(w.endpoints)
}

// run completes how a version is run. former is nil if nothing was run before.
func (c *versions) run(at path, w v1alpha1.Run, former *fleet.Run) *fleet.Run {
	out := fleet.Run{Dir: c.src.dir, Replicas: 1}
	if former != nil {
		out = *former
		out.Command = slices.Clone(former.Command)
		out.Env = maps.Clone(former.Env)
	}
	c.command(at, w, former, &out)
	if w.Dir != "" {
		out.Dir = directory(c.problems, at.field("dir"), w.Dir, c.src.dir)
	}
	if w.EnvFile != "" {
		out.EnvFile = regular(c.problems, at.field("envFile"), w.EnvFile, c.src.dir)
	}
	c.env(at.field("env"), w.Env, c.reserved)
	for key, value := range w.Env {
		if value == nil {
			if former == nil {
				c.at(at.field("env").field(key), "remove the line, or write \"\" for an empty value", "`%s` has no value, and there is no former version to take it from", cut(key))
			}
			delete(out.Env, key)
			continue
		}
		if out.Env == nil {
			out.Env = map[string]string{}
		}
		out.Env[key] = *value
	}
	if len(out.Env) == 0 {
		out.Env = nil
	}
	out.Replicas = c.whole(at.field("replicas"), w.Replicas, out.Replicas, 1, maxReplicas)
	return &out
}

// command fills in what is executed.
func (c *versions) command(at path, w v1alpha1.Run, former *fleet.Run, out *fleet.Run) {
	at = at.field("command")
	if w.Command == nil && former != nil {
		if w.InPlace != nil {
			out.InPlace = *w.InPlace
		}
		return
	}
	if len(w.Command) == 0 {
		c.at(at, "write command: [path/to/executable, argument, ...]", "there is no command to run")
		return
	}
	for i, word := range w.Command {
		if i > 0 && strings.ContainsRune(word, 0) {
			c.at(at.index(i), "", "the command holds a zero byte")
		}
	}
	first := at.index(0)
	if len(w.Command) == 1 && strings.ContainsAny(w.Command[0], " \t") {
		if _, ok := locate(&problems{src: c.src}, first, w.Command[0], c.src.dir); !ok {
			c.at(first, "did you mean ["+strings.Join(strings.Fields(w.Command[0]), ", ")+"]?", "there is no executable `%s`", cut(w.Command[0]))
			return
		}
	}
	found, ok := c.programs.find(c.problems, first, w.Command[0], c.src.dir)
	if !ok {
		return
	}
	out.Command = slices.Clone(w.Command)
	out.Executable, out.SHA256 = found.path, found.sha256
	switch {
	case w.InPlace != nil:
		out.InPlace = *w.InPlace
	case found.byName:
		out.InPlace = true
	case former != nil && len(former.Command) > 0 && !strings.Contains(former.Command[0], "/"):
		out.InPlace = false // it was true for a bare name, which this is not
	}
}

// shortDigest is the name of a version that was given none.
func shortDigest(digest string) string { return digest[:min(10, len(digest))] }

// digest tells versions apart: SHA-256, in hex, over what makes a version. How
// many instances there are, how they are asked for their health and how long
// they drain does not.
func digest(v fleet.Version) string {
	canon := struct {
		Format     int               `json:"format"`
		Service    string            `json:"service"`
		Executable string            `json:"executable,omitempty"`
		Args       []string          `json:"args,omitempty"`
		Dir        string            `json:"dir,omitempty"`
		Env        map[string]string `json:"env,omitempty"`
		EnvFile    string            `json:"envFile,omitempty"`
		Endpoints  []string          `json:"endpoints,omitempty"`
	}{Format: 1, Service: v.Service, Endpoints: v.Endpoints}
	if r := v.Run; r != nil {
		canon.Executable = "sha256:" + r.SHA256
		if r.InPlace {
			canon.Executable = "path:" + r.Executable
		}
		if len(r.Command) > 0 {
			canon.Args = r.Command[1:]
		}
		canon.Dir, canon.Env, canon.EnvFile = r.Dir, r.Env, r.EnvFile
	}
	data, err := json.Marshal(canon) // maps are written in the order of their keys
	if err != nil {
		panic("config: a version cannot be encoded: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
