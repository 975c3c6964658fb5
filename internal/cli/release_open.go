package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/command"
	"github.com/greenroom-dev/greenroom/internal/config"
)

func (a *app) releaseOpen() *cobra.Command {
	var file string
	var sets []string
	var c command.Changing
	var w command.Waiting
	cmd := &cobra.Command{
		Use:   "open [NAME] (-f FILE | --set SERVICE=COMMAND...)",
		Short: "Open a release: its versions start beside what serves",
		Long: `Opens a release, or updates one that is not live yet, and waits until holders of
a pass can see it. What the document leaves out comes from the version that it
replaces.`,
		Example: `  greenroom release open -f r42.yaml
  greenroom release open r42 --set api=./bin/api-v3 --set legacy=127.0.0.1:9101`,
		Args: command.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, name, err := a.releaseDocument(file, sets, args)
			if err != nil {
				return err
			}
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			done, err := api.OpenRelease(cmd.Context(), client.Open{Asked: c.Asked(), Document: doc})
			if err != nil {
				return err
			}
			if c.DryRun || w.NoWait {
				return a.PrintChanged(done)
			}
			return a.Opened(cmd.Context(), api, name, done, w)
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "Release document; - for standard input")
	cmd.Flags().StringArrayVar(&sets, "set", nil, "SERVICE=COMMAND or SERVICE=HOST:PORT, instead of a document; repeatable")
	c.Register(cmd, false)
	w.Register(cmd)
	return cmd
}

// releaseDocument is the document of -f, or one made of --set.
func (a *app) releaseDocument(file string, sets, args []string) (client.Document, string, error) {
	switch {
	case file == "" && len(sets) == 0:
		return client.Document{}, "", command.BadInputf("name a document with -f, or versions with --set api=./bin/api-v3")
	case file != "" && len(sets) > 0:
		return client.Document{}, "", command.BadInputf("-f and --set do not go together: put the version into the document")
	case file != "":
		doc, err := a.readDocument(file)
		if err != nil {
			return doc, "", err
		}
		docs, err := config.Parse(doc.Name, []byte(doc.Data), doc.Dir)
		if err != nil {
			return doc, "", &command.UsageError{Err: err}
		}
		if docs.Fleet != nil || len(docs.Releases) != 1 {
			return doc, "", command.BadInputf("%s must hold one Release document and nothing else", doc.Name)
		}
		name := docs.Releases[0].Metadata.Name
		if len(args) == 1 && args[0] != name {
			return doc, "", command.BadInputf("%s is the document of %s, not of %s", doc.Name, name, args[0])
		}
		return doc, name, nil
	case len(args) != 1:
		return client.Document{}, "", command.BadInputf("--set needs the release's name: greenroom release open r42 --set api=./bin/api-v3")
	}
	dir, err := os.Getwd()
	if err != nil {
		return client.Document{}, "", fmt.Errorf("find the working directory: %w", err)
	}
	if _, err := config.ReleaseFromFlags(args[0], sets, dir); err != nil {
		return client.Document{}, "", &command.UsageError{Err: err}
	}
	return client.Document{Name: args[0], Dir: dir, Sets: sets}, args[0], nil
}

// readDocument reads a file for the server, which resolves its paths.
func (a *app) readDocument(file string) (client.Document, error) {
	if file == "-" {
		data, err := io.ReadAll(io.LimitReader(a.Env.Stdin, config.MaxSize+1))
		if err != nil {
			return client.Document{}, fmt.Errorf("read standard input: %w", err)
		}
		dir, err := os.Getwd()
		return client.Document{Name: "-", Dir: dir, Data: string(data)}, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return client.Document{}, command.BadInputf("read the document: %w", err)
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return client.Document{}, fmt.Errorf("find the document's folder: %w", err)
	}
	return client.Document{Name: file, Dir: filepath.Dir(path), Data: string(data)}, nil
}
