// SPDX-License-Identifier: Apache-2.0

// A peer of gRPC in Go, whose HTTP/2 is not that of Python's grpcio. Messages are plain bytes. `serve` prints its
// port and serves until its input ends; `call ADDRESS` makes every kind of call and prints what came of each, a
// line per case, so that two runs can be compared. tests/support/grpc_peers.py says the same in Python.
package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	service     = "/interop.Peer/"
	messageMost = 64 << 20
)

type plain struct{}

func (plain) Marshal(v interface{}) ([]byte, error) { return *v.(*[]byte), nil }
func (plain) Unmarshal(data []byte, v interface{}) error {
	*v.(*[]byte) = append([]byte{}, data...)
	return nil
}
func (plain) Name() string { return "proto" }

// --- the server -------------------------------------------------------------------------------------------------

var cancelled int64

func first(md metadata.MD, name string) string {
	if values := md.Get(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// What the metadata asks for: metadata back, time, a status.
func obey(stream grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	if value := first(md, "x-echo-initial"); value != "" {
		if err := stream.SendHeader(metadata.Pairs("x-echo-initial", value)); err != nil {
			return err
		}
	}
	if value := first(md, "x-echo-trailing-bin"); value != "" {
		stream.SetTrailer(metadata.Pairs("x-echo-trailing-bin", value))
	}
	if first(md, "x-wait") != "" {
		<-stream.Context().Done()
		atomic.AddInt64(&cancelled, 1)
		return status.FromContextError(stream.Context().Err()).Err()
	}
	if value := first(md, "x-status"); value != "" {
		code, _ := strconv.Atoi(value)
		if details := first(md, "x-details-bin"); details != "" {
			stream.SetTrailer(metadata.Pairs("x-details-bin", details))
		}
		return status.Error(codes.Code(code), first(md, "x-message-bin"))
	}
	return nil
}

func unary(_ interface{}, stream grpc.ServerStream) error {
	var message []byte
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	if md, _ := metadata.FromIncomingContext(stream.Context()); first(md, "x-wait") == "told" {
		_ = stream.SendHeader(metadata.MD{}) // by it the client knows that the call is here
	}
	if err := obey(stream); err != nil {
		return err
	}
	return stream.SendMsg(&message)
}

func count(_ interface{}, stream grpc.ServerStream) error {
	var message []byte
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	if err := obey(stream); err != nil {
		return err
	}
	var n, size int
	_, _ = fmt.Sscan(string(message), &n, &size)
	for i := 0; i < n; i++ {
		part := []byte(strings.Repeat(strconv.Itoa(i%10), size))
		if err := stream.SendMsg(&part); err != nil {
			return err
		}
	}
	return nil
}

func sum(_ interface{}, stream grpc.ServerStream) error {
	digest, n := sha256.New(), 0
	for {
		var message []byte
		err := stream.RecvMsg(&message)
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		digest.Write(message)
		n++
	}
	if err := obey(stream); err != nil {
		return err
	}
	answer := []byte(fmt.Sprintf("%d %x", n, digest.Sum(nil)))
	return stream.SendMsg(&answer)
}

func chat(_ interface{}, stream grpc.ServerStream) error {
	for {
		var message []byte
		err := stream.RecvMsg(&message)
		if err == io.EOF {
			return obey(stream)
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
		if md, _ := metadata.FromIncomingContext(stream.Context()); first(md, "x-wait") != "" {
			return obey(stream)
		}
	}
}

func gone(_ interface{}, stream grpc.ServerStream) error {
	var message []byte
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	answer := []byte(strconv.FormatInt(atomic.LoadInt64(&cancelled), 10))
	return stream.SendMsg(&answer)
}

func serve(host, cert, key string) error {
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(messageMost), grpc.MaxSendMsgSize(messageMost)}
	if cert != "" {
		made, err := credentials.NewServerTLSFromFile(cert, key)
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(made))
	}
	listener, err := net.Listen("tcp", host+":0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(options...)
	both := func(name string, handler grpc.StreamHandler) grpc.StreamDesc {
		return grpc.StreamDesc{StreamName: name, Handler: handler, ServerStreams: true, ClientStreams: true}
	}
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "interop.Peer", HandlerType: (*interface{})(nil),
		Streams: []grpc.StreamDesc{both("Unary", unary), both("Count", count), both("Sum", sum), both("Chat", chat),
			both("Gone", gone)}}, struct{}{})
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() { _ = server.Serve(listener) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	server.Stop()
	return nil
}

// --- the client -------------------------------------------------------------------------------------------------

type call struct {
	method   string
	messages [][]byte
	metadata []string
	timeout  time.Duration
	gzip     bool
	cancel   int // after so many answers; -1: never
}

// What the client saw: the answers, the metadata that the cases ask for, the status.
func run(connection *grpc.ClientConn, c call) string {
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(context.Background(),
		metadata.Pairs(c.metadata...)))
	defer cancel()
	if c.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	options := []grpc.CallOption{}
	if c.gzip {
		options = append(options, grpc.UseCompressor("gzip"))
	}
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
		service+c.method, options...)
	if err != nil {
		return tell(nil, nil, nil, err)
	}
	if c.cancel == 0 {
		go func() { _, _ = stream.Header(); cancel() }()
	}
	digest, sizes := sha256.New(), []int{}
	receive := func() error {
		var answer []byte
		if err := stream.RecvMsg(&answer); err != nil {
			return err
		}
		digest.Write(answer)
		sizes = append(sizes, len(answer))
		if len(sizes) == c.cancel {
			cancel()
		}
		return nil
	}
	for _, message := range c.messages {
		one := message
		if err = stream.SendMsg(&one); err != nil {
			break
		}
		if c.method == "Chat" && len(c.metadata) == 0 {
			if err = receive(); err != nil {
				break
			}
		}
	}
	if err == nil && c.cancel <= 0 {
		_ = stream.CloseSend()
	}
	for err == nil || (err == io.EOF && stream.Context().Err() == nil) {
		if err = receive(); err != nil {
			break
		}
	}
	header, _ := stream.Header()
	return tell(append([]int{len(sizes)}, summary(sizes)...), header, stream.Trailer(), err) +
		fmt.Sprintf(" %x", digest.Sum(nil)[:4])
}

func summary(sizes []int) []int {
	total := 0
	for _, size := range sizes {
		total += size
	}
	return []int{total}
}

func tell(numbers []int, header, trailer metadata.MD, err error) string {
	lines := []string{}
	for _, md := range []metadata.MD{header, trailer} {
		for name, values := range md {
			if strings.HasPrefix(name, "x-echo") || name == "x-details-bin" {
				lines = append(lines, fmt.Sprintf("%s=%x", name, strings.Join(values, "|")))
			}
		}
	}
	sort.Strings(lines)
	code, message := codes.OK, ""
	if err != nil && err != io.EOF {
		code, message = status.Code(err), status.Convert(err).Message()
	}
	if code == codes.Canceled || code == codes.DeadlineExceeded || code == codes.Unimplemented {
		message = "" // everybody words it differently
	}
	return fmt.Sprintf("%v %v %v %q", numbers, lines, int(code), message)
}

func repeated(text string, size, n int) [][]byte {
	messages := [][]byte{}
	for i := 0; i < n; i++ {
		messages = append(messages, []byte(strings.Repeat(text, size+i*size/7)))
	}
	return messages
}

func makeCalls(connection *grpc.ClientConn, big int) {
	one := [][]byte{[]byte("hello")}
	details := string([]byte{0, 1, 2, 0xfe, 0xff})
	cases := []struct {
		name string
		call call
	}{
		{"unary", call{"Unary", one, nil, 0, false, -1}},
		{"empty", call{"Unary", [][]byte{{}}, nil, 0, false, -1}},
		{"large", call{"Unary", repeated("x", big, 1), nil, 0, false, -1}},
		{"compressed", call{"Unary", repeated("gz", 100000, 1), nil, 0, true, -1}},
		{"client stream", call{"Sum", repeated("abc", 3000, 50), nil, 0, false, -1}},
		{"client stream of large ones", call{"Sum", repeated("d", big/8, 8), nil, 0, false, -1}},
		{"client stream of none", call{"Sum", nil, nil, 0, false, -1}},
		{"server stream", call{"Count", [][]byte{[]byte("100 1000")}, nil, 0, false, -1}},
		{"server stream of large ones", call{"Count", [][]byte{[]byte("8 1000000")}, nil, 0, false, -1}},
		{"server stream of none", call{"Count", [][]byte{[]byte("0 0")}, nil, 0, false, -1}},
		{"both, one by one", call{"Chat", repeated("p", 500, 30), nil, 0, false, -1}},
		{"both, compressed", call{"Chat", repeated("p", 5000, 10), nil, 0, true, -1}},
		{"both, none", call{"Chat", nil, nil, 0, false, -1}},
		{"metadata", call{"Unary", one, []string{"x-echo-initial", "value one",
			"x-echo-trailing-bin", details}, 0, false, -1}},
		{"deadline", call{"Unary", one, []string{"x-wait", "1"}, time.Second, false, -1}},
		{"deadline kept", call{"Unary", one, nil, 10 * time.Second, false, -1}},
		{"cancelled", call{"Unary", one, []string{"x-wait", "told"}, 0, false, 0}},
		{"cancelled after an answer", call{"Chat", one, []string{"x-wait", "1"}, 0, false, 1}},
		{"no such method", call{"None", one, nil, 0, false, -1}},
		{"details", call{"Unary", one, []string{"x-status", "9", "x-message-bin", "50% \u00fc\nof it",
			"x-details-bin", details}, 0, false, -1}},
		{"status behind a stream", call{"Chat", one, []string{"x-status", "10", "x-message-bin", "late"}, 0,
			false, -1}},
	}
	for code := 1; code <= 16; code++ {
		c := call{"Count", [][]byte{[]byte("1 1")}, []string{"x-status", strconv.Itoa(code),
			"x-message-bin", "said"}, 0, false, -1}
		cases = append(cases, struct {
			name string
			call call
		}{fmt.Sprintf("trailers only, %d", code), c})
	}
	timed := map[string]chan string{} // beside the others, for it takes long
	for _, row := range cases {
		if row.call.timeout > 0 {
			timed[row.name] = make(chan string, 1)
			go func(told chan string, c call) { told <- run(connection, c) }(timed[row.name], row.call)
		}
	}
	for _, row := range cases {
		if told, found := timed[row.name]; found {
			fmt.Printf("%s: %s\n", row.name, <-told)
		} else {
			fmt.Printf("%s: %s\n", row.name, run(connection, row.call))
		}
	}
	together(connection)
}

func together(connection *grpc.ClientConn) {
	var group sync.WaitGroup
	var good int64
	for i := 0; i < 50; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if strings.Contains(run(connection, call{"Chat", repeated("t", 900, 5), nil, 0, false, -1}), " 0 \"\"") {
				atomic.AddInt64(&good, 1)
			}
		}()
	}
	group.Wait()
	fmt.Printf("50 together: %d\n", good)
	gone := ""
	for i := 0; i < 500 && gone != "3"; i++ { // both cancelled ones and the one whose time was over
		var message, answer []byte
		if connection.Invoke(context.Background(), service+"Gone", &message, &answer) == nil {
			gone = string(answer)
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Printf("seen by the server: %s cancelled\n", gone)
}

func main() {
	host := flag.String("host", "127.0.0.1", "to serve on")
	cert := flag.String("cert", "", "")
	key := flag.String("key", "", "")
	ca := flag.String("ca", "", "of the server")
	name := flag.String("name", "a.test", "of the server")
	big := flag.Int("big", 6000000, "bytes of a large message")
	flag.Parse()
	encoding.RegisterCodec(plain{})
	var err error
	if flag.Arg(0) == "serve" {
		err = serve(*host, *cert, *key)
	} else {
		options := []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageMost),
			grpc.MaxCallSendMsgSize(messageMost))}
		if *ca == "" {
			options = append(options, grpc.WithInsecure())
		} else {
			text, _ := os.ReadFile(*ca)
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(text)
			options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(
				&tls.Config{RootCAs: pool, ServerName: *name})))
		}
		var connection *grpc.ClientConn
		if connection, err = grpc.Dial(flag.Arg(1), options...); err == nil {
			makeCalls(connection, *big)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
