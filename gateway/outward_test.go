package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"testing"
	"testing/iotest"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
)

// explicitIdentifier names a study, and a nested key that nobody needs.
func explicitIdentifier(t testing.TB) []byte {
	t.Helper()
	syntax, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, syntax)
	w.String(dicom.TagQueryRetrieveLevel, dicom.CS, "STUDY")
	w.BeginSequence(0x00081110, dicom.Undefined)
	for range 2 {
		w.BeginItem(dicom.Undefined)
		w.String(0x00081150, dicom.UI, "1.2.4")
		w.EndItem()
	}
	w.EndSequence()
	w.String(dicom.TagStudyInstanceUID, dicom.UI, "1.2.3")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestIdentifierInAnotherSyntaxSaysTheSame(t *testing.T) {
	explicit := explicitIdentifier(t)
	implicit, err := inSyntax(explicit, dicom.ImplicitVRLittleEndian)
	if err != nil {
		t.Fatal(err)
	}
	read := func(p []byte, u dicom.UID) []dicom.DataElement {
		syntax, _ := dicom.LookupTransferSyntax(u)
		es, err := dicom.ReadElements(p, syntax, 20)
		if err != nil {
			t.Fatal(err)
		}
		return es
	}
	same := func(a, b dicom.DataElement) bool {
		return a.Tag == b.Tag && a.Depth == b.Depth && bytes.Equal(a.Value, b.Value)
	}
	a, b := read(explicit, dicom.ExplicitVRLittleEndian), read(implicit, dicom.ImplicitVRLittleEndian)
	if len(a) != 7 || !slices.EqualFunc(a, b, same) {
		t.Errorf("%+v\n%+v", a, b)
	}
}

func TestStoreForSomebodyElse(t *testing.T) {
	h := start(t)
	im := newImage(t, nil)
	store := func(data io.Reader) (dimse.Command, error) {
		return h.gateway.Store(t.Context(), "pacs", "WEB1", dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, dicom.ExplicitVRLittleEndian, data, int64(len(im.data)))
	}
	rsp, err := store(bytes.NewReader(im.data))
	if err != nil || rsp.Status != dimse.Success || !h.archive.holds(im) || h.archive.has()[0].calling != "WEB1" {
		t.Errorf("%+v, %v", rsp, err)
	}
	broken := errors.New("our own disk")
	if _, err := store(iotest.ErrReader(broken)); !errors.Is(err, broken) || errors.Is(err, dimse.ErrAway) {
		t.Errorf("a source that breaks: %v", err)
	}
	h.archive.answer = func(int, stored) (dimse.Command, bool) { return dimse.Command{Status: dimse.OutOfResources}, true }
	if rsp, err := store(bytes.NewReader(im.data)); !errors.Is(err, dimse.ErrAway) || rsp.Status != dimse.OutOfResources {
		t.Errorf("out of resources: %+v, %v", rsp, err)
	}
	h.archive.answer = func(int, stored) (dimse.Command, bool) { return dimse.Command{Status: 0xA900}, true }
	if rsp, err := store(bytes.NewReader(im.data)); err != nil || rsp.Status != 0xA900 {
		t.Errorf("refused: %+v, %v", rsp, err)
	}
	h.archive.accept = func(p ul.ProposedContext) ul.AcceptedContext {
		return ul.AcceptedContext{ID: p.ID, Result: ul.AbstractSyntaxNotSupported}
	}
	if _, err := store(bytes.NewReader(im.data)); !errors.Is(err, dimse.ErrNotAccepted) || errors.Is(err, dimse.ErrAway) {
		t.Errorf("no context: %v", err)
	}
	h.archive.down()
	if _, err := store(bytes.NewReader(im.data)); !errors.Is(err, dimse.ErrAway) || !h.gateway.Away("pacs") {
		t.Errorf("archive that is down: %v", err)
	}
	if !h.gateway.Away("nobody") {
		t.Error("an archive that nobody knows is there")
	}
}

// matching answers a C-FIND with a match for each value of an attribute.
func matching(t *testing.T, x *dimse.Exchange, m *dimse.Message, tag dicom.Tag, values ...string) {
	syntax, _ := dicom.LookupTransferSyntax(m.Context.TransferSyntax)
	for _, v := range values {
		var b bytes.Buffer
		w := dicom.NewWriter(&b, syntax)
		w.String(tag, dicom.UI, v)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		x.Respond(context.Background(), m, dimse.Command{Status: dimse.Pending}, &b)
	}
	x.Respond(context.Background(), m, dimse.Command{}, nil)
}

func TestFindForSomebodyElse(t *testing.T) {
	for _, only := range []dicom.UID{"", dicom.ImplicitVRLittleEndian} {
		p := newScriptedPeer(t, func(p *scriptedPeer) {
			p.respond = refusing(func(c ul.ProposedContext) bool { return only != "" && c.TransferSyntaxes[0] != only })
			p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
				matching(t, x, m, dicom.TagStudyInstanceUID, "1.1", "1.2", "1.3")
			}
		})
		h := behind(t, p)
		find := func(enough int) (found []dicom.UID, err error) {
			stop := errors.New("enough")
			_, err = h.gateway.Find(t.Context(), "pacs", "WEB1", findClass, explicitIdentifier(t), func(data []byte, ts dicom.UID) error {
				values, err := valuesOf(data, ts, dicom.TagStudyInstanceUID)
				if found = append(found, values[dicom.TagStudyInstanceUID]...); len(found) == enough {
					return errors.Join(err, stop)
				}
				return err
			})
			if errors.Is(err, stop) {
				err = nil
			} else if enough > 0 {
				t.Errorf("the query was not stopped: %v", err)
			}
			return found, err
		}
		if found, err := find(0); err != nil || !slices.Equal(found, []dicom.UID{"1.1", "1.2", "1.3"}) {
			t.Errorf("%v, %v", found, err)
		}
		if found, err := find(1); err != nil || len(found) != 1 {
			t.Errorf("%v, %v", found, err)
		}
		if got := p.received()[0]; only != "" && !bytes.Equal(got.data, must(inSyntax(explicitIdentifier(t), only))) || p.request(0).Calling != "WEB1" {
			t.Errorf("the archive was asked %x", got.data)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// refusing makes a peer refuse some contexts.
func refusing(which func(ul.ProposedContext) bool) func(*ul.Response, *ul.Request) {
	return func(rs *ul.Response, rq *ul.Request) {
		for i, c := range rq.Contexts {
			if which(c) {
				rs.Contexts[i] = ul.AcceptedContext{ID: c.ID, Result: ul.AbstractSyntaxNotSupported}
			}
		}
	}
}

// got are the objects that a retrieve brought.
type got struct {
	data []byte
	rq   dimse.StoreRequest
	ts   dicom.UID
}

func (h *house) retrieve(t *testing.T) (objects []got, final dimse.Command, err error) {
	t.Helper()
	final, err = h.gateway.Retrieve(t.Context(), "pacs", "WEB1", explicitIdentifier(t), func(rq dimse.StoreRequest, ts dicom.UID, data io.Reader) dimse.Status {
		p, err := io.ReadAll(data)
		if err != nil {
			t.Error(err)
		}
		objects = append(objects, got{p, rq, ts})
		return dimse.Success
	})
	return objects, final, err
}

// study answers what a retriever asks before: a series, its class, and then
// sends images.
func study(t *testing.T, images []image, send func(x *dimse.Exchange, m *dimse.Message)) func(*dimse.Exchange, *dimse.Message, []byte) {
	return func(x *dimse.Exchange, m *dimse.Message, data []byte) {
		if m.Command.Field != dimse.CFindRQ {
			x.Respond(context.Background(), m, dimse.Command{Status: dimse.Pending}, nil)
			send(x, m)
			return
		}
		values, err := valuesOf(data, m.Context.TransferSyntax, dicom.TagQueryRetrieveLevel, tagSOPClassesInStudy)
		if err != nil {
			t.Error(err)
		}
		switch values[dicom.TagQueryRetrieveLevel][0] {
		case "STUDY":
			matching(t, x, m, dicom.TagStudyInstanceUID, "1.2.3")
		case "SERIES":
			matching(t, x, m, dicom.TagSeriesInstanceUID, "1.2.3.1")
		default:
			matching(t, x, m, dicom.TagSOPClassUID, string(images[0].class))
		}
	}
}

func TestRetrieveByGet(t *testing.T) {
	images := []image{newImage(t, nil), newImage(t, nil)}
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = study(t, images, func(x *dimse.Exchange, m *dimse.Message) {
			id, err := contextFor(x.Conn(), images[0].class, dicom.ExplicitVRLittleEndian)
			if err != nil {
				t.Error(err)
			}
			completed(x, m, storing(t, x, id, images, nil))
		})
	})
	h := behind(t, p)
	objects, final, err := h.retrieve(t)
	if err != nil || final.Status != dimse.Success || count(final.NumberOfCompletedSuboperations) != 2 || len(objects) != 2 {
		t.Fatalf("%d objects, %+v, %v", len(objects), final, err)
	}
	for i, o := range objects {
		if !bytes.Equal(o.data, images[i].data) || o.rq.SOPInstanceUID != images[i].uid || o.ts != dicom.ExplicitVRLittleEndian {
			t.Errorf("%+v of %s", o.rq, o.ts)
		}
	}
	rq := p.request(1)
	for _, c := range rq.Contexts {
		if c.AbstractSyntax != images[0].class && c.AbstractSyntax != getClass {
			t.Errorf("%s was proposed", c.AbstractSyntax)
		}
	}
	if !slices.Equal(rq.Roles, []ul.RoleSelection{{SOPClass: images[0].class, SCP: true}}) {
		t.Errorf("roles: %+v", rq.Roles)
	}
}

// moving is an archive without C-GET, which sends what it is told to move to the
// gateway, under the names of the move that originator makes of the true one.
func moving(t *testing.T, h **house, called dicom.AETitle, images []image, originator func(title dicom.AETitle, id uint16) (dicom.AETitle, *uint16)) func(*scriptedPeer) {
	return func(p *scriptedPeer) {
		p.respond = refusing(func(c ul.ProposedContext) bool { return c.AbstractSyntax == getClass })
		p.serve = study(t, images, func(x *dimse.Exchange, m *dimse.Message) {
			if m.Command.Field != dimse.CMoveRQ || m.Command.MoveDestination != called {
				t.Errorf("the archive was told %+v", m.Command)
			}
			title, id := originator("WEB1", m.Command.MessageID)
			completed(x, m, pushing(t, *h, called, images, title, id))
		})
	}
}

// pushing sends images to the gateway as the archive, and returns the statuses.
func pushing(t *testing.T, h *house, called dicom.AETitle, images []image, title dicom.AETitle, id *uint16) (statuses []dimse.Status) {
	as, err := ul.Dial(context.Background(), h.address, nil, ul.Request{Calling: "PACS", Called: called, Contexts: []ul.ProposedContext{explicitly(3, images[0].class)}}, ul.Limits{})
	if err != nil {
		t.Error(err)
		return nil
	}
	c := dimse.NewConn(as)
	defer c.Close()
	for _, im := range images {
		rsp, err := c.Store(context.Background(), 3, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid, MoveOriginatorAETitle: title, MoveOriginatorMessageID: id}, bytes.NewReader(im.data))
		if err != nil {
			return statuses
		}
		statuses = append(statuses, rsp.Status)
	}
	c.Release(context.Background())
	return statuses
}

func itsOwn(title dicom.AETitle, id uint16) (dicom.AETitle, *uint16) { return title, &id }

func TestRetrieveByMoveToOurselves(t *testing.T) {
	for name, c := range map[string]struct {
		called     dicom.AETitle
		change     func(*Config)
		originator func(dicom.AETitle, uint16) (dicom.AETitle, *uint16)
		want       int
	}{
		"its own":                     {"CORDON", func(*Config) {}, itsOwn, 2},
		"a title for it":              {"RETURNS", func(c *Config) { c.Site.Returns = "RETURNS" }, itsOwn, 2},
		"a title, and it is a device": {"RETURNS", declaredToo, itsOwn, 2},
		"no originator":               {"CORDON", func(*Config) {}, func(dicom.AETitle, uint16) (dicom.AETitle, *uint16) { return "", nil }, 0},
		"another's originator":        {"CORDON", func(*Config) {}, func(_ dicom.AETitle, id uint16) (dicom.AETitle, *uint16) { return "CT1", &id }, 0},
		"another message id": {"CORDON", func(*Config) {}, func(title dicom.AETitle, id uint16) (dicom.AETitle, *uint16) {
			id++
			return title, &id
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			images := []image{newImage(t, nil), newImage(t, nil)}
			var h *house
			h = behind(t, newScriptedPeer(t, moving(t, &h, c.called, images, c.originator)), c.change)
			objects, final, err := h.retrieve(t)
			if err != nil || len(objects) != c.want || count(final.NumberOfCompletedSuboperations) != c.want || count(final.NumberOfFailedSuboperations) != 2-c.want {
				t.Fatalf("%d objects, %+v, %v", len(objects), final, err)
			}
			for i, o := range objects {
				if !bytes.Equal(o.data, images[i].data) {
					t.Error("another object")
				}
			}
			if len(h.recorded("object.delivered")) > 0 {
				t.Error("an object went on as a device's")
			}
		})
	}
}

// declaredToo makes the archive a device as well.
func declaredToo(c *Config) {
	c.Site.Returns = "RETURNS"
	c.Site.Devices = append(c.Site.Devices, policy.Device{Name: "pacs-too", AETitle: "PACS", Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
}

// An archive that sends objects which nobody waits for is not a device.
func TestObjectsThatNobodyRetrievesAreNotTaken(t *testing.T) {
	h := behind(t, newScriptedPeer(t, nil))
	id := uint16(1)
	if got := pushing(t, h, "CORDON", []image{newImage(t, nil)}, "WEB1", &id); len(got) != 0 {
		t.Errorf("answered %04X", got)
	}
}

// What an archive would send as a device is not asked for.
func TestRetrieveOfAnArchiveThatIsADeviceToo(t *testing.T) {
	var h *house
	p := newScriptedPeer(t, moving(t, &h, "CORDON", []image{newImage(t, nil)}, itsOwn))
	h = behind(t, p, declaredToo, func(c *Config) { c.Site.Returns = "" })
	if objects, _, err := h.retrieve(t); !errors.Is(err, dimse.ErrNotAccepted) || len(objects) > 0 {
		t.Errorf("%d objects, %v", len(objects), err)
	}
	for _, e := range p.received() {
		if e.command.Field == dimse.CMoveRQ {
			t.Error("the archive was told to move something")
		}
	}
}
