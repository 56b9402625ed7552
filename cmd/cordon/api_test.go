package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"cordon/console"
	"cordon/console/answer"
	"cordon/console/openapi"
	"cordon/console/route"
	"cordon/custody"
	"cordon/finding"
)

// api is the whole interface over a data directory in which there is something
// to ask for, as the control socket serves it.
type api struct {
	*control
	parts    *parts
	routes   []route.Route
	document map[string]any
	schemas  *jsonschema.Compiler
}

func newAPI(t *testing.T) *api {
	t.Helper()
	config := Config{Data: t.TempDir(), Site: "Test Hospital"}
	parts, err := openParts(t.Context(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := console.New(console.Config{Site: config.Site, Version: "1"}, parts.consoleParts(config))
	serving, stop := context.WithCancel(context.Background())
	l := newPipes()
	served := make(chan error, 1)
	go func() { served <- console.Serve(serving, l, c.API(), slog.New(slog.DiscardHandler)) }() // ends with the test
	a := &api{control: newControl(l.dial), parts: parts, routes: c.Routes()}
	t.Cleanup(func() {
		a.close()
		stop()
		if err := errors.Join(<-served, parts.close()); err != nil {
			t.Error(err)
		}
	})
	if err := a.get(t.Context(), "openapi.json", &a.document); err != nil {
		t.Fatal(err)
	}
	a.schemas = jsonschema.NewCompiler()
	a.schemas.AssertFormat()
	strict(a.document)
	if err := a.schemas.AddResource("mem:///openapi.json", a.document); err != nil {
		t.Fatal(err)
	}
	return a
}

// strict has no object of the document have keys that it does not describe: an
// answer may only have those of its type.
func strict(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"].(map[string]any); ok && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, one := range v {
			strict(one)
		}
	case []any:
		for _, one := range v {
			strict(one)
		}
	}
}

// schema is that of an answer of a route, of a status and a media type; nil if it
// has none.
func (a *api) schema(t *testing.T, r route.Route, status, media string) *jsonschema.Schema {
	t.Helper()
	path := strings.NewReplacer("...}", "}").Replace(r.Pattern)
	at := fmt.Sprintf("mem:///openapi.json#/paths/%s/%s/responses/%s/content/%s/schema", pointer(path), strings.ToLower(r.Method), status, pointer(media))
	s, err := a.schemas.Compile(at)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Pattern, err)
	}
	return s
}

// pointer is a key in a JSON pointer in an address (RFC 6901).
func pointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(key)
}

// ask sends anything.
func (a *api) ask(t *testing.T, method, path, media string, body io.Reader) (*http.Response, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	rq, err := http.NewRequestWithContext(ctx, method, "http://cordon"+path, body)
	if err != nil {
		t.Fatalf("%s %q: %v", method, path, err)
	}
	if media != "" {
		rq.Header.Set("Content-Type", media)
	}
	rsp, err := a.client.Do(rq)
	if err != nil {
		t.Fatalf("%s %q: %v", method, path, err)
	}
	defer rsp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(rsp.Body, 64<<20))
	if err != nil {
		t.Fatalf("%s %q: %v", method, path, err)
	}
	return rsp, text
}

// check holds an answer against what the document says of it.
func (a *api) check(t *testing.T, r route.Route, asked string, rsp *http.Response, text []byte) {
	t.Helper()
	if rsp.StatusCode >= 500 {
		t.Errorf("%s %s: %s: %d %.300s", r.Method, r.Pattern, asked, rsp.StatusCode, text)
		return
	}
	if rsp.StatusCode != http.StatusOK {
		var p answer.Problem
		if err := strictJSON(text, &p); err != nil || p.Error == "" || rsp.StatusCode < 400 {
			t.Errorf("%s %s: %s: %d is no problem: %v %.300s", r.Method, r.Pattern, asked, rsp.StatusCode, err, text)
		}
		return
	}
	if r.Doc.Media != "" || r.Doc.Response == nil {
		return
	}
	media, lines := "application/json", [][]byte{text}
	if r.Doc.Lines {
		media, lines = "application/x-ndjson", bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	}
	s := a.schema(t, r, "200", media)
	for _, line := range lines {
		if len(line) == 0 {
			continue
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err == nil {
			err = s.Validate(v)
		}
		if err != nil {
			t.Errorf("%s %s: %s: the answer is not as described: %v\n%.500s", r.Method, r.Pattern, asked, err, line)
		}
	}
}

func strictJSON(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// hold puts an object into the vault.
func (a *api) hold(t *testing.T) custody.Object {
	t.Helper()
	b := a.parts.custody.NewBuffer()
	defer b.Discard()
	if _, err := io.WriteString(b, "x"); err != nil {
		t.Fatal(err)
	}
	o, err := a.parts.custody.Keep(t.Context(), b, custody.Object{
		State: custody.Held, CallingAE: "CT1", CalledAE: "CORDON", Archive: "pacs", Device: "ct-1",
		SOPClassUID: "1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID: "1.2.3", StudyInstanceUID: "1.2", TransferSyntaxUID: "1.2.840.10008.1.2.1",
		Findings: []finding.Finding{finding.New("eicar", "(0009,1010)", 300, "")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

const apiPage = "../../docs/api.md"

// The page of the interface is what the program says; UPDATE=1 writes it.
func TestPageOfTheInterface(t *testing.T) {
	a := newAPI(t)
	text, err := openapi.Document("1", a.routes)
	if err != nil {
		t.Fatal(err)
	}
	page, err := openapi.Page(text)
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(apiPage)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := bytes.Cut(old, []byte("<!-- operations -->\n"))
	want := slices.Concat(head, []byte("<!-- operations -->\n"), page)
	if !ok || bytes.Equal(old, want) {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatal("docs/api.md is not what the program says: UPDATE=1 go test -run Interface ./cmd/cordon")
	}
	if err := os.WriteFile(apiPage, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// fuzzFor is how long the interface is fuzzed.
const fuzzFor = 10 * time.Second

// Whatever is sent, to whatever operation: an answer, or a problem that says what
// is wrong, and never a fault of ours.
func TestInterfaceTakesAnything(t *testing.T) {
	a := newAPI(t)
	hostile := hostileJSON()
	until := time.Now().Add(fuzzFor)
	asked := 0
	random := rand.New(rand.NewPCG(1, 2))
	for round := 0; round == 0 || time.Now().Before(until) && round < 1000; round++ {
		for _, r := range a.routes {
			if !r.API() || r.Pattern == "/api/v1/reconcile" && r.Method == "POST" && round > 0 {
				continue
			}
			path, media, body := a.hostileRequest(t, random, r, hostile)
			method := r.Method
			if random.IntN(20) == 0 {
				method = []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "GET", "POST", "HEAD"}[random.IntN(9)]
			}
			rsp, said := a.ask(t, method, path, media, strings.NewReader(body))
			asked++
			if method == r.Method {
				a.check(t, r, fmt.Sprintf("%s %.200q %s %.300q", method, path, media, body), rsp, said)
			} else if rsp.StatusCode >= 500 {
				t.Errorf("%s %q: %d %s", method, path, rsp.StatusCode, said)
			}
			if t.Failed() && asked > 500 {
				t.Fatal("and so on")
			}
		}
	}
	t.Logf("%d requests", asked)
}

// hostileJSON are values that no handler expects, as JSON.
func hostileJSON() []string {
	texts := []string{
		"", "\x00", "' OR 1=1 --", "<script>alert(1)</script>", "../../etc/passwd", "\u202e", strings.Repeat("A", 5000), strings.Repeat("é", 60000), "%s%n%x", "{{.}}", "2026-13-45T99:99:99Z",
		"-1h", "9999999h", "1e400", "\xff\xfe", "🩻", "NaN", "*", "A. Able", "ct-1", "1.2.3", "\r\nSet-Cookie: x=1",
	}
	out := []string{
		"null", "true", "false", "0", "-1", "1e400", "1.5", "9223372036854775807", "99999999999999999999", "[]", "{}", "[null]", `{"":null}`,
		strings.Repeat("[", 20000), strings.Repeat("[", 5000) + strings.Repeat("]", 5000), strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
	}
	for _, text := range texts {
		quoted, _ := json.Marshal(text)
		out = append(out, string(quoted))
	}
	return out
}

// hostileRequest is one of a route's, mostly of the form that its document gives
// it, with something wrong with it.
func (a *api) hostileRequest(t *testing.T, random *rand.Rand, r route.Route, hostile []string) (path, media, body string) {
	t.Helper()
	pick := func() string { return hostile[random.IntN(len(hostile))] }
	word := func() string {
		var s string
		if json.Unmarshal([]byte(pick()), &s) != nil || s == "" || len(s) > 2000 {
			s = "1"
		}
		return s
	}
	path = r.Pattern
	for strings.Contains(path, "{") {
		from, to := strings.Index(path, "{"), strings.Index(path, "}")
		path = path[:from] + url.PathEscape(word()) + path[to+1:]
	}
	query := url.Values{}
	for _, q := range r.Doc.Query {
		if random.IntN(2) == 0 {
			query.Add(q.Name, word())
		}
	}
	path += "?" + query.Encode()
	media = "application/json"
	switch random.IntN(12) {
	case 0:
		media = []string{"", "text/plain", "multipart/form-data", "multipart/form-data; boundary=x", "application/xml", "application/json; charset=\xff", "a/b/c"}[random.IntN(7)]
	case 1:
		return path, media, pick()
	case 2:
		return path, media, strings.Repeat(pick(), 1+random.IntN(40))
	}
	if r.Doc.Form != nil {
		return path, "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"object\"\r\n\r\n" + a.hostileObject(random, "ImportedFile", pick, 0) +
			"\r\n--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n" + pick() + "\r\n--x--\r\n"
	}
	if r.Doc.Request == nil {
		return path, media, ""
	}
	return path, media, a.hostileObject(random, a.request(t, r), pick, 0)
}

// request is the name of the schema of what a route takes.
func (a *api) request(t *testing.T, r route.Route) string {
	t.Helper()
	var v any = a.document
	path := strings.NewReplacer("...}", "}").Replace(r.Pattern)
	for _, key := range []string{"paths", path, strings.ToLower(r.Method), "requestBody", "content", "application/json", "schema", "$ref"} {
		object, _ := v.(map[string]any)
		v = object[key]
	}
	ref, ok := v.(string)
	if !ok {
		t.Fatalf("%s %s: what it takes is not described", r.Method, r.Pattern)
	}
	return strings.TrimPrefix(ref, "#/components/schemas/")
}

// hostileObject is an object of the document's schemas: each key is left out, as
// it should be, or of a hostile value.
func (a *api) hostileObject(random *rand.Rand, schema string, pick func() string, depth int) string {
	schemas := a.document["components"].(map[string]any)["schemas"].(map[string]any)
	described, _ := schemas[schema].(map[string]any)
	properties, _ := described["properties"].(map[string]any)
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		property := properties[key].(map[string]any)
		ref, _ := property["$ref"].(string)
		value := pick()
		switch {
		case random.IntN(4) == 0:
			continue
		case random.IntN(3) == 0:
		case ref != "" && depth < 5:
			value = a.hostileObject(random, strings.TrimPrefix(ref, "#/components/schemas/"), pick, depth+1)
		case property["type"] == "string":
			value = []string{`"A. Able"`, `"30m"`, `"2026-01-01T00:00:00Z"`, `"x"`}[random.IntN(4)]
		case property["type"] == "integer":
			value = []string{"1", "0", "-1", "30", "9223372036854775807"}[random.IntN(5)]
		case property["type"] == "boolean":
			value = "true"
		}
		keys = append(keys, fmt.Sprintf("%q:%s", key, value))
	}
	if random.IntN(6) == 0 {
		keys = append(keys, `"nobody knows":`+pick())
	}
	return "{" + strings.Join(keys, ",") + "}"
}

// named is a route's example, under a name as who is not signed in gives one.
func named(t *testing.T, r route.Route) []byte {
	t.Helper()
	text, err := json.Marshal(r.Doc.Example)
	var keys map[string]any
	if err == nil && r.Doc.Request != nil {
		_, is := reflect.New(reflect.TypeOf(r.Doc.Request)).Interface().(answer.Named)
		if err = json.Unmarshal(text, &keys); err == nil && is && (keys["by"] == nil || keys["by"] == "") {
			if keys == nil {
				keys = map[string]any{}
			}
			keys["by"] = "A. Able"
			text, err = json.Marshal(keys)
		}
	}
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Pattern, err)
	}
	return text
}

// needsMore are operations whose example takes what this site does not have, and
// what they say of it.
var needsMore = map[string]string{
	"POST /api/v1/me/tokens": "is made by who is signed in",
	"POST /api/v1/me/role":   "is taken by who is signed in",
	"POST /api/v1/tickets":   "no device or archive is called",
}

// countsAsZero are operations that programs report to, and one that answers with
// what is wrong with a table: they take nothing for 0, no, and an empty table.
var countsAsZero = map[string]bool{"/api/v1/import": true, "/api/v1/ledger/verified": true, "/api/v1/register": true}

// What the document says that a request must have is missed where it is left out.
func TestRequestsNeedWhatIsRequired(t *testing.T) {
	a := newAPI(t)
	schemas := a.document["components"].(map[string]any)["schemas"].(map[string]any)
	for _, r := range a.routes {
		if !r.API() || r.Doc.Request == nil || needsMore[r.Method+" "+r.Pattern] != "" {
			continue
		}
		required, _ := schemas[a.request(t, r)].(map[string]any)["required"].([]any)
		for _, key := range required {
			var body map[string]any
			if err := json.Unmarshal(named(t, r), &body); err != nil {
				t.Fatal(err)
			}
			if _, ok := body[key.(string)]; !ok {
				t.Errorf("%s %s: its example has no %s, which is required", r.Method, r.Pattern, key)
			}
			delete(body, key.(string))
			text, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			id := "1"
			if strings.HasPrefix(r.Pattern, "/api/v1/vault/") {
				id = a.hold(t).ID
			}
			path := strings.NewReplacer("{id}", id, "{name}", "ct-1").Replace(r.Pattern)
			rsp, said := a.ask(t, r.Method, path, "application/json", bytes.NewReader(text))
			if rsp.StatusCode < 400 && !countsAsZero[r.Pattern] {
				t.Errorf("%s %s: without %s: %d %.300s", r.Method, r.Pattern, key, rsp.StatusCode, said)
			}
		}
	}
}

// Each operation's example is one that its handler understands, and every answer
// is as it is described.
func TestExamplesOfTheInterface(t *testing.T) {
	a := newAPI(t)
	for _, r := range a.routes {
		if !r.API() || r.Doc.Form != nil {
			continue
		}
		var body io.Reader
		text := named(t, r)
		media := ""
		if r.Doc.Request != nil {
			if r.Doc.Example == nil {
				t.Errorf("%s %s has no example", r.Method, r.Pattern)
			}
			body, media = bytes.NewReader(text), "application/json"
		}
		id := "1"
		if strings.HasPrefix(r.Pattern, "/api/v1/vault/") {
			id = a.hold(t).ID
		}
		path := strings.NewReplacer("{id}", id, "{name}", "ct-1").Replace(r.Pattern)
		for i, q := range r.Doc.Query {
			if q.Example != "" {
				path += string("?&"[min(i, 1)]) + q.Name + "=" + url.QueryEscape(q.Example)
			}
		}
		rsp, said := a.ask(t, r.Method, path, media, body)
		if refused := needsMore[r.Method+" "+r.Pattern]; refused != "" {
			if !strings.Contains(string(said), refused) {
				t.Errorf("%s %s: %s", r.Method, path, said)
			}
		} else if rsp.StatusCode == http.StatusBadRequest || rsp.StatusCode == http.StatusUnsupportedMediaType {
			t.Errorf("%s %s: its example is refused: %s", r.Method, path, said)
		}
		a.check(t, r, string(text), rsp, said)
	}
}
