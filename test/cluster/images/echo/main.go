// Command echo is the smallest service that a mesh can be tried with: it
// answers with its name and version (VERSION), and then with what the service
// named in NEXT answered to the same request, with the stamp passed on.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const stamp = "X-Greenroom-Release"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: ":8080", Handler: http.HandlerFunc(answer), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		server.Shutdown(context.WithoutCancel(ctx))
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}

func answer(w http.ResponseWriter, r *http.Request) {
	line := os.Getenv("NAME") + "=" + os.Getenv("VERSION")
	if next := os.Getenv("NEXT"); next != "" {
		rest, err := call(r, next)
		if err != nil {
			http.Error(w, line+" "+err.Error(), http.StatusBadGateway)
			return
		}
		line += " " + rest
	}
	io.WriteString(w, line)
}

// call asks the next service, passing the stamp on.
func call(r *http.Request, url string) (string, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	if s := r.Header.Get(stamp); s != "" {
		req.Header.Set(stamp, s)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return string(b), err
}
