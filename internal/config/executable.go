package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/spelling"
)

// executable is a program on disk.
type executable struct {
	path   string // absolute
	sha256 string // hex
	byName bool   // found in PATH rather than named by path
}

// executables finds and hashes programs, each file once.
type executables struct {
	sums map[string]string
}

func newExecutables() *executables { return &executables{sums: map[string]string{}} }

// find resolves the first word of a command and hashes the program, with a
// complaint and false if there is none.
func (x *executables) find(p *problems, where path, word, dir string) (executable, bool) {
	found, ok := locate(p, where, word, dir)
	if !ok {
		return executable{}, false
	}
	sum, ok := x.sums[found.path]
	if !ok {
		var err error
		if sum, err = hashFile(found.path); err != nil {
			p.at(where, "make it readable for the user that greenroom runs as", "the executable cannot be read: %v", reason(err))
			return executable{}, false
		}
		x.sums[found.path] = sum
	}
	found.sha256 = sum
	return found, true
}

// locate resolves the first word of a command: by PATH if it is a bare name,
// else relative to dir.
func locate(p *problems, where path, word, dir string) (executable, bool) {
	if word == "" {
		p.at(where, "", "the command's first word is empty")
		return executable{}, false
	}
	if strings.ContainsRune(word, 0) {
		p.at(where, "", "the command holds a zero byte")
		return executable{}, false
	}
	if !strings.Contains(word, "/") {
		file, err := exec.LookPath(word)
		if err == nil {
			file, err = filepath.Abs(file)
		}
		if err != nil {
			hint := "install it, or write a path"
			if _, err := os.Stat(filepath.Join(dir, word)); err == nil {
				hint = "did you mean `./" + word + "`?"
			}
			p.at(where, hint, "there is no `%s` in PATH", cut(word))
			return executable{}, false
		}
		return executable{path: file, byName: true}, true
	}
	file := absolute(word, dir)
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.at(where, nearFile(file, word), "there is no executable `%s`", cut(word))
	case err != nil:
		p.at(where, "", "the executable `%s` cannot be used: %v", cut(word), reason(err))
	case !info.Mode().IsRegular():
		p.at(where, "", "`%s` is not a file", cut(word))
	case info.Mode().Perm()&0o111 == 0:
		p.at(where, "chmod +x it", "`%s` is not executable", cut(word))
	default:
		return executable{path: file}, true
	}
	return executable{}, false
}

// nearFile suggests what to do about a file that is not there.
func nearFile(file, word string) string {
	entries, err := os.ReadDir(filepath.Dir(file))
	if err == nil {
		var known []string
		for _, e := range entries {
			known = append(known, e.Name())
		}
		if name := spelling.Nearest(filepath.Base(file), known); name != "" {
			return "did you mean `" + strings.TrimSuffix(word, filepath.Base(word)) + name + "`?"
		}
	}
	return "build it first; paths are relative to the document's folder"
}

// absolute resolves a document's path.
func absolute(file, dir string) string {
	if filepath.IsAbs(file) {
		return filepath.Clean(file)
	}
	return filepath.Join(dir, file)
}

// regular checks that a file that a document names is there.
func regular(p *problems, where path, file, dir string) string {
	if strings.ContainsRune(file, 0) {
		p.at(where, "", "the path holds a zero byte")
		return ""
	}
	full := absolute(file, dir)
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.at(where, "paths are relative to the document's folder", "there is no file `%s`", cut(file))
	case err != nil:
		p.at(where, "", "the file `%s` cannot be used: %v", cut(file), reason(err))
	case !info.Mode().IsRegular():
		p.at(where, "", "`%s` is not a file", cut(file))
	default:
		return full
	}
	return ""
}

// directory checks that a folder that a document names is there.
func directory(p *problems, where path, name, dir string) string {
	if strings.ContainsRune(name, 0) {
		p.at(where, "", "the path holds a zero byte")
		return ""
	}
	full := absolute(name, dir)
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.at(where, "paths are relative to the document's folder", "there is no folder `%s`", cut(name))
	case err != nil:
		p.at(where, "", "the folder `%s` cannot be used: %v", cut(name), reason(err))
	case !info.IsDir():
		p.at(where, "", "`%s` is not a folder", cut(name))
	default:
		return full
	}
	return ""
}

// reason drops the path from a file error: the complaint names it already, as
// its author wrote it.
func reason(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

func hashFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
