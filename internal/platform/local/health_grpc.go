package local

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// probeGRPC calls grpc.health.v1.Health/Check in cleartext HTTP/2. One unary
// call with one string each way is spoken here by hand, since the whole of
// grpc-go would weigh on every shim, which is the same program.
func probeGRPC(ctx context.Context, h fleet.Health, addr string) error {
	const method = "/grpc.health.v1.Health/Check"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+method, bytes.NewReader(healthRequest(h.GRPCService)))
	if err != nil {
		return fmt.Errorf("gRPC health check: %w", err)
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	req.Header.Set("User-Agent", "greenroom-health")
	transport := &http.Transport{DisableKeepAlives: true, Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("gRPC health check: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("gRPC health check: %w", err)
	}
	status, message := res.Trailer.Get("Grpc-Status"), res.Trailer.Get("Grpc-Message")
	if status == "" { // an answer of trailers only
		status, message = res.Header.Get("Grpc-Status"), res.Header.Get("Grpc-Message")
	}
	switch {
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("gRPC health check: answered HTTP %s", res.Status)
	case status == "12":
		return errors.New("gRPC health check: the service does not implement grpc.health.v1: register a health server, or use a tcp check")
	case status == "5":
		return fmt.Errorf("gRPC health check: the service knows no service %q", h.GRPCService)
	case status != "0":
		return fmt.Errorf("gRPC health check: status %s: %s", status, message)
	}
	return servingStatus(body)
}

// healthRequest is a HealthCheckRequest in gRPC's framing: field 1, a string.
func healthRequest(service string) []byte {
	var msg []byte
	if service != "" {
		msg = append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(service))), service...)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(msg)))
	return append(frame, msg...)
}

// servingStatus reads a framed HealthCheckResponse: field 1, an enum.
func servingStatus(frame []byte) error {
	const header = 5
	if len(frame) < header || frame[0] != 0 || int(binary.BigEndian.Uint32(frame[1:])) != len(frame)-header {
		return errors.New("gRPC health check: the answer is no single uncompressed message")
	}
	msg := frame[header:]
	var serving uint64
	if len(msg) > 1 && msg[0] == 1<<3 {
		serving, _ = binary.Uvarint(msg[1:])
	}
	switch serving {
	case 1:
		return nil
	case 2:
		return errors.New("gRPC health check: NOT_SERVING")
	case 3:
		return errors.New("gRPC health check: SERVICE_UNKNOWN")
	}
	return fmt.Errorf("gRPC health check: serving status %d", serving)
}
