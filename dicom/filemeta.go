package dicom

import (
	"bytes"
	"fmt"
	"io"
)

// FileMeta is the File Meta Information of a Part 10 file (PS3.10 §7.1).
type FileMeta struct {
	Preamble                  [preambleSize]byte
	SOPClassUID               UID
	SOPInstanceUID            UID
	TransferSyntaxUID         UID
	ImplementationClassUID    UID    // empty: this implementation's, with its version name
	ImplementationVersionName string // empty: none
	SourceAETitle             AETitle
	SendingAETitle            AETitle
	ReceivingAETitle          AETitle
}

// WriteFileMeta writes what precedes the data set in a Part 10 file: preamble, DICM and group
// 0002, in one Write. Empty elements are left out, even the mandatory ones.
func WriteFileMeta(w io.Writer, m FileMeta) error {
	if m.ImplementationClassUID == "" {
		m.ImplementationClassUID, m.ImplementationVersionName = ImplementationClassUID, ImplementationVersionName
	}
	group, err := m.elements()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.Write(m.Preamble[:])
	b.WriteString(magic)
	x := NewWriter(&b, TransferSyntax{Explicit: true})
	x.Uint32(TagFileMetaInformationGroupLength, uint32(len(group)))
	x.Raw(group)
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing file meta information: %w", err)
	}
	return nil
}

// elements is group 0002 without its group length (PS3.10 table 7.1-1).
func (m *FileMeta) elements() ([]byte, error) {
	var b bytes.Buffer
	x := NewWriter(&b, TransferSyntax{Explicit: true})
	x.Element(TagFileMetaInformationVersion, OB, []byte{0, 1})
	for _, e := range []struct {
		tag   Tag
		vr    VR
		value string
	}{
		{TagMediaStorageSOPClassUID, UI, string(m.SOPClassUID)},
		{TagMediaStorageSOPInstanceUID, UI, string(m.SOPInstanceUID)},
		{TagTransferSyntaxUID, UI, string(m.TransferSyntaxUID)},
		{TagImplementationClassUID, UI, string(m.ImplementationClassUID)},
		{TagImplementationVersionName, SH, m.ImplementationVersionName},
		{TagSourceApplicationEntityTitle, AE, string(m.SourceAETitle)},
		{TagSendingApplicationEntityTitle, AE, string(m.SendingAETitle)},
		{TagReceivingApplicationEntityTitle, AE, string(m.ReceivingAETitle)},
	} {
		if e.value != "" {
			x.String(e.tag, e.vr, e.value)
		}
	}
	return b.Bytes(), x.Close()
}
