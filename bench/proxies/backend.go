package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// What the backend answers by path; anything else gets the small one.
const (
	small  = 128
	medium = 16 << 10
	large  = 1 << 20
)

// serveBackend is the service behind every proxy: HTTP/1.1 and WebSocket echo
// on one address, HTTP/2 in cleartext on the other. The first does as little as
// a server can, since it shares its core with the load.
func serveBackend(http1, http2 string) error {
	l, err := net.Listen("tcp", http1)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- acceptRaw(l) }()
	go func() { failed <- serveHTTP2(http2) }()
	return <-failed
}

func acceptRaw(l net.Listener) error {
	answers := map[string][]byte{"/16k": canned(medium), "/1m": canned(large)}
	other := canned(small)
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = conn.Close() }()
			serveRaw(conn, answers, other)
		}()
	}
}

func canned(size int) []byte {
	return append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size), bytes.Repeat([]byte("x"), size)...)
}

// serveRaw answers requests one after the other until the connection ends.
func serveRaw(conn net.Conn, answers map[string][]byte, other []byte) {
	r := bufio.NewReaderSize(conn, 16<<10)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		answer := other
		if fields := bytes.Fields(line); len(fields) == 3 {
			if a, ok := answers[string(fields[1])]; ok {
				answer = a
			}
		}
		length, chunked, upgrade := 0, false, false
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) <= 2 {
				break
			}
			name, value, _ := bytes.Cut(line, []byte(":"))
			switch value = bytes.TrimSpace(value); {
			case bytes.EqualFold(name, []byte("Content-Length")):
				length, _ = strconv.Atoi(string(value))
			case bytes.EqualFold(name, []byte("Transfer-Encoding")):
				chunked = true
			case bytes.EqualFold(name, []byte("Upgrade")):
				upgrade = strings.EqualFold(string(value), "websocket")
			}
		}
		if upgrade {
			echoFrames(conn, r)
			return
		}
		if _, err := discard(r, length, chunked); err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// discard takes a body off the connection and returns how long it was.
func discard(r *bufio.Reader, length int, chunked bool) (int, error) {
	if !chunked {
		return r.Discard(length)
	}
	for total := 0; ; {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return total, err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 64)
		if err != nil {
			return total, err
		}
		if _, err := r.Discard(int(size) + 2); err != nil || size == 0 {
			return total, err
		}
		total += int(size)
	}
}

// echoFrames answers the handshake of RFC 6455 and sends back each short masked
// frame as it came, unmasked.
func echoFrames(conn net.Conn, r *bufio.Reader) {
	// The accept value belongs to websocketKey, the key that the load sends.
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+websocketAccept+"\r\n\r\n"); err != nil {
		return
	}
	frame := make([]byte, 6+125)
	for {
		if _, err := io.ReadFull(r, frame[:6]); err != nil {
			return
		}
		size := int(frame[1] & 0x7f)
		if _, err := io.ReadFull(r, frame[6:6+size]); err != nil {
			return
		}
		mask := frame[2:6]
		out := append([]byte{frame[0], byte(size)}, frame[6:6+size]...)
		for i := range size {
			out[2+i] ^= mask[i%4]
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// serveHTTP2 answers plain requests and unary gRPC calls.
func serveHTTP2(address string) error {
	body := bytes.Repeat([]byte("x"), small)
	message := append([]byte{0, 0, 0, 0, small}, body...)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Addr: address, Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Content-Type") != "application/grpc" {
			_, _ = w.Write(body)
			return
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write(message)
		w.Header().Set("Grpc-Status", "0")
	})}
	return server.ListenAndServe()
}

// serveHop is a service that calls another for each request, and passes the
// stamp on as services do. Without arguments it is told its port and whom to
// call as greenroom tells its services.
func serveHop(args []string) error {
	address, next := "127.0.0.1:"+os.Getenv("PORT"), os.Getenv("GREENROOM_URL_FIRST")+"/leaf"
	if len(args) == 2 {
		address, next = args[0], args[1]
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			return
		}
		out, err := http.NewRequestWithContext(r.Context(), http.MethodGet, next, nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if stamp := r.Header.Get(stampHeader); stamp != "" {
			out.Header.Set(stampHeader, stamp)
		}
		resp, err := client.Do(out)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
}
