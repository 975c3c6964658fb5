package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
)

// MaxSize is how large a text of documents may be, in bytes.
const MaxSize = 1 << 20

// Documents are what one text holds: at most one Fleet and any number of
// Releases, in order.
type Documents struct {
	Fleet    *FleetDocument // nil: the text holds none
	Releases []ReleaseDocument
}

// FleetDocument is a Fleet as it was written, with the places of its parts.
type FleetDocument struct {
	v1alpha1.Fleet
	src *source
}

// ReleaseDocument is a Release as it was written, with the places of its parts.
type ReleaseDocument struct {
	v1alpha1.Release
	src *source
}

// Release returns the Release of that name.
func (d Documents) Release(name string) (ReleaseDocument, bool) {
	i := slices.IndexFunc(d.Releases, func(r ReleaseDocument) bool { return r.Metadata.Name == name })
	if i < 0 {
		return ReleaseDocument{}, false
	}
	return d.Releases[i], true
}

// Read parses the file at path. The documents' relative paths are relative to
// its folder. "-" reads standard input, which the caller gives, relative to the
// working directory.
func Read(file string, stdin io.Reader) (Documents, error) {
	if file == "-" {
		data, err := io.ReadAll(io.LimitReader(stdin, MaxSize+1))
		if err != nil {
			return Documents{}, fmt.Errorf("read standard input: %w", err)
		}
		return Parse("-", data, ".")
	}
	f, err := os.Open(file)
	if err != nil {
		return Documents{}, fmt.Errorf("open the document: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return Documents{}, fmt.Errorf("read the document: %w", err)
	}
	return Parse(file, data, filepath.Dir(file))
}

// Parse reads documents from text: YAML, thus JSON too. The name stands in
// complaints, "-" for standard input; dir is what the documents' relative
// paths are relative to. It checks the form: known fields, each once, of the
// right kind; ResolveFleet and ResolveRelease check what they say. Complaints
// come as *Errors.
func Parse(name string, data []byte, dir string) (Documents, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Documents{}, fmt.Errorf("find the folder of %s: %w", name, err)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data)), "\n")
	p := &problems{src: newSource(name, dir, 0, lines)}
	if !p.readable(data) {
		return Documents{}, p.err()
	}
	var out Documents
	found := false
	for _, part := range parts(lines) {
		one := &problems{src: newSource(name, dir, part.before, part.lines)}
		for _, body := range one.syntax() {
			found = true
			out.add(body, one)
		}
		p.list = append(p.list, one.list...)
	}
	if len(p.list) == 0 && !found {
		p.add(position{}, "", "greenroom init writes a first one", "there is no document in it")
	}
	if err := p.err(); err != nil {
		return Documents{}, err
	}
	return out, nil
}

// part is the text of one document of a file.
type part struct {
	before int // lines of the file before it
	lines  []string
}

// parts cuts a file at its separators: lines that begin with three dashes or
// dots, wherever they stand. The parser would do that too, but loses documents
// that follow an empty one.
func parts(lines []string) []part {
	out := []part{{}}
	for i, line := range lines {
		rest, dashes := strings.CutPrefix(line, "---")
		if !dashes {
			rest, _ = strings.CutPrefix(line, "...")
		}
		if rest != line && (rest == "" || strings.ContainsRune(" \t", rune(rest[0]))) {
			out = append(out, part{before: i})
			line = "   " + rest
		}
		last := &out[len(out)-1]
		last.lines = append(last.lines, line)
	}
	return out
}

// readable checks size and encoding.
func (p *problems) readable(data []byte) bool {
	if len(data) > MaxSize {
		p.add(position{}, "", "split the fleet", fmt.Sprintf("the document is larger than %d KiB", MaxSize>>10))
		return false
	}
	for i, line := range p.src.lines {
		column := 0
		for rest := line; rest != ""; {
			r, size := utf8.DecodeRuneInString(rest)
			column++
			if r == utf8.RuneError && size == 1 {
				p.add(position{i + 1, column}, "", "save the file as UTF-8", "this is not UTF-8 text")
				return false
			}
			if r < ' ' && r != '\t' || r == 0x7f {
				p.add(position{i + 1, column}, "", "remove it", fmt.Sprintf("there is a control character (%#02x)", r))
				return false
			}
			rest = rest[size:]
		}
	}
	return true
}

// syntax parses a document's text. It returns nothing for one that is empty,
// nor, with a complaint, for one that is no YAML.
func (p *problems) syntax() (bodies []ast.Node) {
	defer func() {
		// The parser is third-party code fed with what anybody wrote.
		if r := recover(); r != nil {
			p.add(position{}, "", "", "the document cannot be read as YAML")
			bodies = nil
		}
	}()
	tokens := lexer.Tokenize(strings.Join(p.src.lines, "\n"))
	if t, why := excess(tokens); t != nil {
		p.add(position{t.Position.Line, t.Position.Column}, "", "", why)
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err == nil {
		for _, doc := range file.Docs {
			if doc.Body != nil && doc.Body.Type() != ast.CommentType {
				bodies = append(bodies, doc.Body)
			}
		}
		return bodies
	}
	pos, problem, hint := position{}, err.Error(), ""
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		problem = syntax.Message
		if t := syntax.Token; t != nil && t.Position != nil {
			pos = position{t.Position.Line, t.Position.Column}
		}
	}
	if pos.line >= 1 && pos.line <= len(p.src.lines) {
		before := p.src.lines[pos.line-1]
		indent := before[:len(before)-len(strings.TrimLeft(before, " \t"))]
		if strings.Contains(indent, "\t") {
			problem, hint = "there is a tab in the indentation", "indent with spaces"
		}
	}
	p.add(pos, "", hint, "not valid YAML: "+problem)
	return nil
}

// add decodes one document and adds it to d.
func (d *Documents) add(body ast.Node, p *problems) {
	dec := &decoder{problems: p, anchors: anchorsOf(body, p)}
	p.src.values[""] = start(body)
	switch kind := dec.kind(body); kind {
	case v1alpha1.KindFleet:
		var f v1alpha1.Fleet
		dec.value(body, reflect.ValueOf(&f).Elem(), "")
		if d.Fleet != nil {
			p.at("kind", "a fleet is one document; put the other into its own file", "there is a second Fleet in the file")
			return
		}
		d.Fleet = &FleetDocument{f, p.src}
	case v1alpha1.KindRelease:
		var r v1alpha1.Release
		dec.value(body, reflect.ValueOf(&r).Elem(), "")
		if _, twice := d.Release(r.Metadata.Name); twice && r.Metadata.Name != "" {
			p.at("metadata.name", "give it another name", "there are two Releases called `%s` in the file", r.Metadata.Name)
			return
		}
		d.Releases = append(d.Releases, ReleaseDocument{r, p.src})
	}
}

// kind reads a document's apiVersion and kind, empty with a complaint if they
// are not ours.
func (d *decoder) kind(body ast.Node) string {
	quiet := &decoder{problems: &problems{src: newSource(d.src.name, d.src.dir, d.src.before, d.src.lines)}, anchors: d.anchors}
	n := quiet.node(body, "")
	if n == nil {
		d.problems.list = append(d.problems.list, quiet.problems.list...)
		return ""
	}
	pairs, ok := quiet.pairs(n, "", 0)
	if !ok {
		d.add(start(body), "", "a document begins with apiVersion: "+v1alpha1.APIVersion+" and kind: Fleet or Release",
			"this is not a document but "+kindOf(n))
		return ""
	}
	head := map[string]string{}
	for _, e := range pairs {
		if e.key != "apiVersion" && e.key != "kind" {
			continue
		}
		d.src.values[path(e.key)] = start(e.value)
		if v := quiet.node(e.value, ""); v != nil {
			head[e.key] = v.GetToken().Value
		}
	}
	version, kind := head["apiVersion"], head["kind"]
	switch {
	case version == "":
		d.at("", "write apiVersion: "+v1alpha1.APIVersion, "the document lacks the field `apiVersion`")
	case version != v1alpha1.APIVersion:
		d.at("apiVersion", "this greenroom reads "+v1alpha1.APIVersion, "unknown apiVersion `%s`", version)
	case kind == "":
		d.at("", "write kind: Fleet or kind: Release", "the document lacks the field `kind`")
	case kind != v1alpha1.KindFleet && kind != v1alpha1.KindRelease:
		d.at("kind", did(kind, []string{v1alpha1.KindFleet, v1alpha1.KindRelease}), "unknown kind `%s`", kind)
	default:
		return kind
	}
	return ""
}
