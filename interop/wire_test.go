package interop

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// An image is an object as it travels: its identity, and its data set in a transfer syntax.
type image struct {
	class, instance, syntax dicom.UID
	data                    []byte
}

// readImage reads a Part 10 file.
func readImage(t *testing.T, path string) image {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	im := image{data: dataSetOf(t, path)}
	explicit, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	meta, err := dicom.ReadElements(text[132:len(text)-len(im.data)], explicit, 64)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, e := range meta {
		switch e.Tag {
		case dicom.TagMediaStorageSOPClassUID:
			im.class = dicom.TrimUID(e.Value)
		case dicom.TagMediaStorageSOPInstanceUID:
			im.instance = dicom.TrimUID(e.Value)
		case dicom.TagTransferSyntaxUID:
			im.syntax = dicom.TrimUID(e.Value)
		}
	}
	return im
}

// testImages are pydicom's test files that are whole Part 10 files of an instance, one for each instance UID.
func testImages(t *testing.T) map[dicom.UID]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testFiles, "*.dcm"))
	if err != nil || len(files) < 50 {
		t.Fatalf("python3-pydicom is needed and not installed (make peers): %d test files, %v", len(files), err)
	}
	unique := map[dicom.UID]string{}
	for _, f := range files {
		head, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if len(head) < 140 || string(head[128:138]) != "DICM\x02\x00\x00\x00UL" {
			continue // no preamble or no group length: pydicom tests its tolerance with them
		}
		if im := readImage(t, f); im.instance.Validate() == nil && im.class.Validate() == nil && im.syntax.Validate() == nil {
			unique[im.instance] = f
		}
	}
	if len(unique) < 30 {
		t.Fatalf("only %d of pydicom's test files can be sent", len(unique))
	}
	return unique
}

// acceptor is a storage provider made with package dimse, which keeps what it is sent in memory.
type acceptor struct {
	Port string
	tls  *tls.Config

	mu   sync.Mutex
	kept map[dicom.UID]image
	errs []error
}

// startAcceptor serves until the test ends. It owns a goroutine for each association, and one that accepts them.
func startAcceptor(t *testing.T, config *tls.Config) *acceptor {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &acceptor{Port: strconv.Itoa(l.Addr().(*net.TCPAddr).Port), tls: config, kept: map[dicom.UID]image{}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if config != nil {
				nc = tls.Server(nc, config)
			}
			running.Go(func() { s.note(s.serve(ctx, nc)) })
		}
	})
	t.Cleanup(func() { l.Close(); cancel(); running.Wait() })
	return s
}

func (s *acceptor) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.errs = append(s.errs, err)
	}
}

// failures waits for want associations to end badly and returns how they did.
func (s *acceptor) failures(want int) []error {
	for range 500 {
		s.mu.Lock()
		errs := s.errs
		s.mu.Unlock()
		if len(errs) >= want {
			return errs
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// serve is one association: the first transfer syntax of each proposed context, and success for each message.
func (s *acceptor) serve(ctx context.Context, nc net.Conn) error {
	i, err := ul.Receive(ctx, nc, ul.Limits{ARTIM: 5 * time.Second})
	if err != nil {
		return err
	}
	if i.Request.Called == "NOBODY" {
		return i.Reject(ul.Rejection{Result: ul.RejectedPermanent, Source: ul.RejectSourceUser, Reason: ul.RejectCalledAETitle})
	}
	a, err := i.Accept(i.Request.Respond(func(p ul.ProposedContext) ul.AcceptedContext {
		return ul.AcceptedContext{TransferSyntax: p.TransferSyntaxes[0]}
	}))
	if err != nil {
		return err
	}
	c := dimse.NewConn(a)
	defer c.Close()
	for {
		m, err := c.Receive(ctx)
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if m.Data != nil {
			if err := s.keep(m); err != nil {
				return err
			}
		}
		if err := c.Respond(ctx, m, dimse.Command{}, nil); err != nil {
			return err
		}
	}
}

func (s *acceptor) keep(m *dimse.Message) error {
	data, err := io.ReadAll(m.Data)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[m.Command.AffectedSOPInstanceUID] = image{m.Command.AffectedSOPClassUID, m.Command.AffectedSOPInstanceUID, m.Context.TransferSyntax, data}
	return nil
}

func (s *acceptor) images() map[dicom.UID]image {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept
}

// storedImages are the files in a directory of storescp's.
func storedImages(t *testing.T, dir string) map[dicom.UID]image {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[dicom.UID]image{}
	for _, f := range files {
		im := readImage(t, filepath.Join(dir, f.Name()))
		stored[im.instance] = im
	}
	return stored
}

func compareImages(t *testing.T, got, want map[dicom.UID]image) {
	t.Helper()
	for uid, w := range want {
		g, ok := got[uid]
		if !ok {
			t.Errorf("%s: missing", uid)
		} else if g.class != w.class || g.syntax != w.syntax || !bytes.Equal(g.data, w.data) {
			t.Errorf("%s: %s in %s of %d bytes, want %s in %s of %d bytes", uid, g.class, g.syntax, len(g.data), w.class, w.syntax, len(w.data))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d images, want %d", len(got), len(want))
	}
}

func TestDCMTKVerifies(t *testing.T) {
	s := startAcceptor(t, nil)
	run(t, "echoscu", "--repeat", "3", "127.0.0.1", s.Port)
	if out, err := try(t, "echoscu", "-aec", "NOBODY", "127.0.0.1", s.Port); err == nil || !strings.Contains(out, "Called AE Title Not Recognized") {
		t.Errorf("echoscu was not told of the rejection: %v\n%s", err, out)
	}
	if len(s.failures(0)) != 0 {
		t.Error(s.failures(0))
	}
	run(t, "echoscu", "--abort", "127.0.0.1", s.Port)
	if errs := s.failures(1); len(errs) != 1 || !isAbort(errs[0]) {
		t.Errorf("echoscu --abort: %v", errs)
	}
}

func isAbort(err error) bool {
	_, ok := errors.AsType[*ul.Abort](err)
	return ok
}

// What DCMTK's senders send to us is, byte for byte, what they send to DCMTK's own receiver. What they cannot read, or
// convert to a transfer syntax that they propose, goes to neither.
func TestDCMTKStoresToUs(t *testing.T) {
	files := slices.Collect(maps.Values(testImages(t)))
	for sender, atLeast := range map[string]int{"storescu -R --no-halt": 10, "dcmsend --no-halt --decompress-never": 25, "dcmsend --no-halt": 25} {
		t.Run(sender, func(t *testing.T) {
			theirs := startStoreSCP(t, "+B", "+xa")
			ours := startAcceptor(t, nil)
			command := strings.Fields(sender)
			try(t, command[0], slices.Concat(command[1:], []string{theirs.Host, theirs.Port}, files)...)
			try(t, command[0], slices.Concat(command[1:], []string{"127.0.0.1", ours.Port}, files)...)
			want := storedImages(t, theirs.Dir)
			if len(want) < atLeast {
				t.Errorf("only %d of %d images were sent", len(want), len(files))
			}
			compareImages(t, ours.images(), want)
			if errs := ours.failures(0); len(errs) != 0 {
				t.Error(errs)
			}
		})
	}
}

// DCMTK's sender leaves Nagle's algorithm on and writes each PDU in two parts. A receiver that acknowledges late makes it
// wait 40 ms again and again; we acknowledge at once, and must stay faster than DCMTK's own receiver (about 20 times).
func TestDefaultSenderIsFasterToUsThanToStoreSCP(t *testing.T) {
	theirs, ours := startStoreSCP(t, "--ignore"), startAcceptor(t, nil)
	files := slices.Repeat([]string{filepath.Join(testFiles, "waveform_ecg.dcm")}, 40)
	us := timed(func() { run(t, "storescu", slices.Concat([]string{"127.0.0.1", ours.Port}, files)...) })
	them := timed(func() { run(t, "storescu", slices.Concat([]string{theirs.Host, theirs.Port}, files)...) })
	t.Logf("%d objects: to us %v, to storescp %v", len(files), us, them)
	if us > them {
		t.Errorf("to us %v, to storescp %v", us, them)
	}
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// store sends images on one association and fails the test if one is not stored.
func store(t *testing.T, p *peer, images map[dicom.UID]image) {
	t.Helper()
	var contexts []ul.ProposedContext
	ids := map[[2]dicom.UID]uint8{}
	for _, im := range images {
		if key := [2]dicom.UID{im.class, im.syntax}; ids[key] == 0 {
			ids[key] = uint8(2*len(ids) + 1)
			contexts = append(contexts, ul.ProposedContext{ID: ids[key], AbstractSyntax: im.class, TransferSyntaxes: []dicom.UID{im.syntax}})
		}
	}
	c, err := p.dial(t.Context(), contexts...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for uid, im := range images {
		rq := dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.instance}
		rsp, err := c.Store(t.Context(), ids[[2]dicom.UID{im.class, im.syntax}], rq, bytes.NewReader(im.data))
		if err != nil {
			t.Fatalf("%s in %s: %v", uid, im.syntax, err)
		}
		if rsp.Status != dimse.Success {
			t.Errorf("%s in %s: status %04XH %s", uid, im.syntax, uint16(rsp.Status), rsp.ErrorComment)
		}
	}
	if err := c.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

// wholeImages are the test images that the peers take: DCMTK aborts when a fragment is odd, Orthanc when a data set is cut off.
func wholeImages(t *testing.T) map[dicom.UID]image {
	t.Helper()
	images := map[dicom.UID]image{}
	for uid, file := range testImages(t) {
		if im := readImage(t, file); len(im.data)&1 == 0 && !strings.HasSuffix(file, "_truncated.dcm") {
			images[uid] = im
		}
	}
	if len(images) < 25 {
		t.Fatalf("only %d images", len(images))
	}
	return images
}

// What we send arrives byte for byte, in every transfer syntax of the test files, whether or not storescp forks.
func TestWeStoreToStoreSCP(t *testing.T) {
	for _, flags := range [][]string{{"+B", "+xa"}, {"+B", "+xa", "--fork"}, {"+B", "+xa", "--max-pdu", "4096"}, {"+B", "+xa", "--max-pdu", "131072"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			images := wholeImages(t)
			p := startStoreSCP(t, flags...)
			store(t, p, images)
			compareImages(t, storedImages(t, p.Dir), images)
		})
	}
}

// orthancKeeps are test files that Orthanc, which reads and writes again what it receives, writes as they were.
var orthancKeeps = []string{
	"CT_small.dcm", "GDCMJ2K_TextGBR.dcm", "MR_small_RLE.dcm", "SC_jpeg_no_color_transform.dcm", "SC_rgb_small_odd.dcm", "test-SR.dcm",
}

func TestWeStoreToOrthanc(t *testing.T) {
	images := map[dicom.UID]image{}
	for _, name := range orthancKeeps {
		im := readImage(t, filepath.Join(testFiles, name))
		images[im.instance] = im
	}
	p := startOrthanc(t, nil)
	store(t, p, images)
	var ids []string
	if err := json.Unmarshal(p.get(t, "/instances"), &ids); err != nil {
		t.Fatal(err)
	}
	stored := map[dicom.UID]image{}
	for _, id := range ids {
		file := filepath.Join(t.TempDir(), id)
		if err := os.WriteFile(file, p.get(t, "/instances/"+id+"/file"), 0o600); err != nil {
			t.Fatal(err)
		}
		im := readImage(t, file)
		stored[im.instance] = im
	}
	compareImages(t, stored, images)
}

func TestOrthancStoresToUs(t *testing.T) {
	s := startAcceptor(t, nil)
	port, err := strconv.Atoi(s.Port)
	if err != nil {
		t.Fatal(err)
	}
	p := startOrthanc(t, map[string]any{"DicomModalities": map[string]any{"cordon": []any{"CORDON", "127.0.0.1", port}}})
	post(t, p.HTTP+"/modalities/cordon/echo", "{}")
	im := readImage(t, filepath.Join(testFiles, "CT_small.dcm"))
	store(t, p, map[dicom.UID]image{im.instance: im})
	var ids []string
	if err := json.Unmarshal(p.get(t, "/instances"), &ids); err != nil || len(ids) != 1 {
		t.Fatalf("%d instances, %v", len(ids), err)
	}
	post(t, p.HTTP+"/modalities/cordon/store", ids[0])
	if got, ok := s.images()[im.instance]; !ok || got.class != im.class || len(got.data) < 32768 {
		t.Errorf("received %s of %d bytes", got.class, len(got.data))
	}
}

func post(t *testing.T, url, body string) {
	t.Helper()
	rsp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	if text, _ := io.ReadAll(rsp.Body); rsp.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %s\n%s", url, rsp.Status, text)
	}
}

// DCMTK and we speak TLS with each other, both ways, each asking for the other's certificate.
func TestTLSWithDCMTK(t *testing.T) {
	dir := t.TempDir()
	cert, pool := makeCertificate(t, dir)
	key, pemFile := filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	file := filepath.Join(testFiles, "CT_small.dcm")
	want := readImage(t, file)

	s := startAcceptor(t, &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12})
	run(t, "storescu", "+tls", key, pemFile, "+cf", pemFile, "127.0.0.1", s.Port, file)
	plain := startAcceptor(t, nil)
	run(t, "storescu", "127.0.0.1", plain.Port, file)
	compareImages(t, s.images(), plain.images())
	if out, err := try(t, "echoscu", "127.0.0.1", s.Port); err == nil {
		t.Errorf("echoscu without TLS was served\n%s", out)
	}

	p := newPeer(t, "STORESCP")
	start(t, p.Dir, "storescp", "+B", "-od", p.Dir, "+tls", key, pemFile, "+cf", pemFile, p.Port)
	p.tls = &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, MinVersion: tls.VersionTLS12}
	p.awaitReady(t)
	store(t, p, map[dicom.UID]image{want.instance: want})
	compareImages(t, storedImages(t, p.Dir), map[dicom.UID]image{want.instance: want})
}

// makeCertificate makes a certificate for 127.0.0.1, its own authority, also as key.pem and cert.pem in dir.
func makeCertificate(t *testing.T, dir string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, "key.pem"), "PRIVATE KEY", keyDER)
	writePEM(t, filepath.Join(dir, "cert.pem"), "CERTIFICATE", der)
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func writePEM(t *testing.T, path, typ string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
