package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// errNotAsked means that there is no way to ask the archive about a series.
var errNotAsked = errors.New("the archive cannot be asked about it")

// lacks asks an archive about some instances of a series, and returns those
// that it does not have. It answers by C-FIND if it may be asked so, else by
// storage commitment.
func (w *work) lacks(ctx context.Context, a Archive, s series, want map[string]instance) (missing map[string]instance, err error) {
	err = errNotAsked
	if a.Query && w.parts.Find != nil && isUID(s.study) && isUID(s.series) {
		missing, err = w.lacksByQuery(ctx, a, s, want)
	}
	if err != nil && ctx.Err() == nil && a.Commit && w.parts.Confirm != nil {
		missing, err = w.lacksByCommitment(ctx, a, want)
	}
	return missing, err
}

// refused makes errNotAsked of an answer that says no; what may pass stays what
// it is.
func refused(err error) error {
	var rejection *ul.Rejection
	if errors.Is(err, dimse.ErrNotAccepted) || errors.As(err, &rejection) {
		return fmt.Errorf("%w: %w", errNotAsked, err)
	}
	return err
}

func (w *work) lacksByQuery(ctx context.Context, a Archive, s series, want map[string]instance) (map[string]instance, error) {
	missing := maps.Clone(want)
	err := w.eachInstance(ctx, a, s, func(uid string) { delete(missing, uid) })
	return missing, err
}

// eachInstance calls fn with each instance that the archive has of a series.
func (w *work) eachInstance(ctx context.Context, a Archive, s series, fn func(uid string)) error {
	return w.find(ctx, a, identifier("IMAGE", s), dicom.TagSOPInstanceUID, fn)
}

// eachSeries calls fn with each series that the archive has of a study.
func (w *work) eachSeries(ctx context.Context, a Archive, study string, fn func(uid string)) error {
	return w.find(ctx, a, identifier("SERIES", series{study: study}), dicom.TagSeriesInstanceUID, fn)
}

// find asks the archive, and calls fn with one key of each match.
func (w *work) find(ctx context.Context, a Archive, id []byte, key dicom.Tag, fn func(uid string)) error {
	defer w.pause(ctx, time.Now())
	rsp, err := w.parts.Find.Find(ctx, a.Name, w.config.Calling, dicom.StudyRootQueryRetrieveInformationModelFind, id,
		func(data []byte, ts dicom.UID) error {
			uid, err := keyOf(data, ts, key)
			if err == nil {
				fn(uid)
			}
			return err
		})
	if err != nil {
		return refused(err)
	}
	if rsp.Status != dimse.Success {
		return fmt.Errorf("%w: it answers a query with status %04X", errNotAsked, uint16(rsp.Status))
	}
	return nil
}

// maxReferences is how many instances are in one request for commitment.
const maxReferences = 500

func (w *work) lacksByCommitment(ctx context.Context, a Archive, want map[string]instance) (map[string]instance, error) {
	missing := map[string]instance{}
	for uids := range slices.Chunk(slices.Sorted(maps.Keys(want)), maxReferences) {
		refs := make([]commit.Reference, 0, len(uids))
		for _, uid := range uids {
			refs = append(refs, commit.Reference{SOPClassUID: want[uid].sopClass(), SOPInstanceUID: dicom.UID(uid)})
		}
		failed, err := w.confirm(ctx, a, refs)
		if err != nil {
			return nil, err
		}
		for _, f := range failed {
			if i, ok := want[string(f.SOPInstanceUID)]; ok {
				missing[i.uid] = i
			}
		}
	}
	return missing, nil
}

func (w *work) confirm(ctx context.Context, a Archive, refs []commit.Reference) ([]commit.Failure, error) {
	defer w.pause(ctx, time.Now())
	failed, err := w.parts.Confirm.Confirm(ctx, a.Name, refs)
	return failed, refused(err)
}

// longestPause is the most that is waited after a question.
const longestPause = time.Second

// pause waits as long as a question took: an archive spends at most half of one
// association's time on us.
func (w *work) pause(ctx context.Context, began time.Time) {
	select {
	case <-time.After(min(time.Since(began), longestPause)):
	case <-ctx.Done():
	}
}

// identifier is what a C-FIND asks for (PS3.4 §C.4.1.1.3): the instances of a
// series, or the series of a study.
func identifier(level string, s series) []byte {
	var out bytes.Buffer
	ts, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	w := dicom.NewWriter(&out, ts)
	if level == "IMAGE" {
		w.String(dicom.TagSOPInstanceUID, dicom.UI)
	}
	w.String(dicom.TagQueryRetrieveLevel, dicom.CS, level)
	w.String(dicom.TagStudyInstanceUID, dicom.UI, s.study)
	if level == "IMAGE" {
		w.String(dicom.TagSeriesInstanceUID, dicom.UI, s.series)
	} else {
		w.String(dicom.TagSeriesInstanceUID, dicom.UI)
	}
	w.Close() // to memory
	return out.Bytes()
}

// maxElements bounds one match.
const maxElements = 1000

// keyOf reads one key of a match.
func keyOf(data []byte, syntax dicom.UID, key dicom.Tag) (string, error) {
	ts, ok := dicom.LookupTransferSyntax(syntax)
	if !ok {
		return "", fmt.Errorf("match in transfer syntax %.64q", syntax)
	}
	all, err := dicom.ReadElements(data, ts, maxElements)
	if err != nil {
		return "", fmt.Errorf("reading a match: %w", err)
	}
	for _, e := range all {
		if e.Tag == key && e.Depth == 0 {
			return string(dicom.TrimUID(e.Value)), nil
		}
	}
	return "", fmt.Errorf("match without %s", key)
}
