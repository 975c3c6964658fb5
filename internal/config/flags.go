package config

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// ReleaseFromFlags makes a Release document of service=value pairs. A value is
// a command line, whose first word is an executable and whose other words are
// its arguments (quotes keep spaces together, nothing else is special), or
// host:port[,host:port...] where something else runs the service. Relative
// paths are relative to dir. Complaints, also those of ResolveRelease about what
// it returns, come as *Errors and name the pair.
func ReleaseFromFlags(name string, sets []string, dir string) (ReleaseDocument, error) {
	folder, err := filepath.Abs(dir)
	if err != nil {
		return ReleaseDocument{}, fmt.Errorf("find the folder %s: %w", dir, err)
	}
	src := newSource("release "+name, folder, 0, sets)
	src.flags = true
	p := &problems{src: src}
	doc := v1alpha1.Release{
		APIVersion: v1alpha1.APIVersion,
		Kind:       v1alpha1.KindRelease,
		Metadata:   v1alpha1.Metadata{Name: name},
	}
	for i, set := range sets {
		at := path("spec.services").index(i)
		src.values[at] = position{i + 1, 1}
		service, value, ok := strings.Cut(set, "=")
		if !ok || service == "" || strings.TrimSpace(value) == "" {
			p.at(at, "write --set api=./bin/api-v2 or --set api=127.0.0.1:9101", "this does not say which service gets what")
			continue
		}
		one := v1alpha1.ReleaseService{Name: service}
		if endpoints := strings.Split(value, ","); !slices.ContainsFunc(endpoints, notEndpoint) {
			one.Endpoints = endpoints
		} else if words, closed := split(value); closed {
			one.Run = &v1alpha1.Run{Command: words}
		} else {
			p.at(at, "close it", "a quote is left open")
		}
		doc.Spec.Services = append(doc.Spec.Services, one)
	}
	if err := p.err(); err != nil {
		return ReleaseDocument{}, err
	}
	return ReleaseDocument{doc, src}, nil
}

// Set is what ReleaseFromFlags takes behind a service's name for the version v,
// whatever folder it is told.
func Set(v fleet.Version) string {
	if v.Run == nil {
		return strings.Join(v.Endpoints, ",")
	}
	words := slices.Clone(v.Run.Command)
	if strings.Contains(words[0], "/") {
		words[0] = v.Run.Executable
	}
	for i, w := range words {
		words[i] = quoted(w)
	}
	return strings.Join(words, " ")
}

// quoted is a word as split reads it.
func quoted(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\"'") {
		return word
	}
	return `"` + strings.ReplaceAll(word, `"`, `"'"'"`) + `"`
}

func notEndpoint(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || strings.ContainsAny(s, "/ ") {
		return true
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err != nil
}

// split cuts a command line into words; false if a quote is left open.
func split(line string) ([]string, bool) {
	var words []string
	var word strings.Builder
	var quote rune
	inside := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inside = r, true
		case r == ' ' || r == '\t':
			if inside {
				words = append(words, word.String())
				word.Reset()
			}
			inside = false
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	if inside {
		words = append(words, word.String())
	}
	return words, quote == 0
}
