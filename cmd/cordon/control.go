package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"cordon/console"
	"cordon/console/answer"
)

// control speaks the console's interface: to the Cordon that runs on a data
// directory, or, when none does, to the same handlers in this process. Commands
// cannot tell the difference.
type control struct {
	client *http.Client
	close  func() error
	base   string // "": http://cordon
	secret string // of a session or an API token; "": the operating system's word for who asks
}

// control connects. The caller closes it.
func (p place) control(ctx context.Context) (*control, error) {
	c, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	if c.secret, err = p.secret(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// connect is control without saying who asks.
func (p place) connect(ctx context.Context) (*control, error) {
	running, err := p.running(ctx)
	if err != nil || running != nil {
		return running, err
	}
	config, err := p.config()
	if err != nil {
		return nil, err
	}
	return openControl(ctx, config)
}

// running connects to the Cordon that runs; nil if none does.
func (p place) running(ctx context.Context) (*control, error) {
	if p.URL != "" {
		return p.elsewhere()
	}
	config, err := p.config()
	if err != nil {
		return nil, err
	}
	conn, err := dialControl(ctx, config.Data)
	switch {
	case errors.Is(err, errNotRunning):
		return nil, nil
	case err != nil:
		return nil, err
	}
	conn.Close() // it answers; each request dials its own
	return newControl(func(ctx context.Context) (net.Conn, error) { return dialControl(ctx, config.Data) }), nil
}

// hasData is an error unless there is a data directory: the command was probably
// meant for another.
func hasData(config Config) error {
	if _, err := os.Stat(filepath.Join(config.Data, "cordon.db")); err != nil {
		return failure{2, fmt.Errorf("no Cordon's data in %s (name the folder with --data, or the configuration with --config)", config.Data)}
	}
	return nil
}

func newControl(dial func(context.Context) (net.Conn, error)) *control {
	transport := &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression: true,
	}
	return &control{
		client: &http.Client{Transport: transport},
		close: func() error {
			transport.CloseIdleConnections()
			return nil
		},
	}
}

// openControl opens the data directory in this process. One that is not there
// is not made: the command was probably meant for another.
func openControl(ctx context.Context, config Config) (*control, error) {
	if err := hasData(config); err != nil {
		return nil, err
	}
	parts, err := openParts(ctx, config, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, failure{2, err}
	}
	serving, stop := context.WithCancel(context.Background())
	l := newPipes()
	api := console.New(console.Config{Site: config.Site, Version: version}, parts.consoleParts(config)).API()
	served := make(chan error, 1)
	go func() { // ends when close stops it
		served <- console.Serve(serving, l, api, slog.New(slog.DiscardHandler))
	}()
	c := newControl(l.dial)
	closeClient := c.close
	c.close = func() error {
		closeClient()
		stop()
		return errors.Join(<-served, parts.close())
	}
	return c, nil
}

// do asks for something. body may be nil. An answer that is not a success is
// an error with the sentence that it holds; else the caller closes the body.
func (c *control) do(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(text)
	}
	return c.send(ctx, method, path, "application/json", payload)
}

// send is do with any body.
func (c *control) send(ctx context.Context, method, path, contentType string, payload io.Reader) (io.ReadCloser, error) {
	rsp, err := c.response(ctx, method, path, contentType, payload)
	if err != nil {
		return nil, err
	}
	return rsp.Body, nil
}

// response is send, with the trailer that follows the body.
func (c *control) response(ctx context.Context, method, path, contentType string, payload io.Reader) (*http.Response, error) {
	rq, err := http.NewRequestWithContext(ctx, method, or(c.base, "http://cordon")+"/api/v1/"+path, payload)
	if err != nil {
		return nil, err
	}
	if c.secret != "" {
		rq.Header.Set("Authorization", "Bearer "+c.secret)
	}
	rq.Header.Set("Content-Type", contentType)
	rsp, err := c.client.Do(rq)
	if err != nil {
		return nil, err
	}
	if rsp.StatusCode == http.StatusOK {
		return rsp, nil
	}
	defer rsp.Body.Close()
	var problem answer.Problem
	if err := json.NewDecoder(io.LimitReader(rsp.Body, 1<<20)).Decode(&problem); err != nil {
		return nil, fmt.Errorf("unexpected answer %s", rsp.Status)
	}
	return nil, errors.New(problem.Error)
}

// get decodes one answer into v.
func (c *control) get(ctx context.Context, path string, v any) error {
	return c.ask(ctx, http.MethodGet, path, nil, v)
}

func (c *control) ask(ctx context.Context, method, path string, body, v any) error {
	answer, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	return json.NewDecoder(answer).Decode(v)
}

// upload posts a file, and about it what the interface wants to know, as
// multipart/form-data, and decodes the answer into v. The file is streamed.
func (c *control) upload(ctx context.Context, path string, about any, file io.Reader, v any) error {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	part, err := form.CreateFormField("object")
	if err == nil {
		err = json.NewEncoder(part).Encode(about)
	}
	if err == nil {
		_, err = form.CreateFormFile("file", "file")
	}
	if err != nil {
		return err
	}
	end := strings.NewReader("\r\n--" + form.Boundary() + "--\r\n")
	answer, err := c.send(ctx, http.MethodPost, path, form.FormDataContentType(), io.MultiReader(&head, file, end))
	if err != nil {
		return err
	}
	defer answer.Close()
	return json.NewDecoder(answer).Decode(v)
}

// each decodes an answer of one object a line, each into a new T.
func each[T any](ctx context.Context, c *control, path string, fn func(T) error) error {
	answer, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	for d := json.NewDecoder(answer); ; {
		var v T
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := fn(v); err != nil {
			return err
		}
	}
}
