package simulate

import (
	"strconv"
	"strings"

	"archiver/internal/simulate/dataset"
)

// computeQualifier is the only version of each function.
const computeQualifier = "LATEST"

// computeStatus is the record's status in Function Compute's words. Most statuses
// have two words.
func (i *item) computeStatus() string {
	words := map[dataset.Status][2]string{
		dataset.StatusWait: {"Enqueued", "Dequeued"}, dataset.StatusRunning: {"Running", "Retrying"}, dataset.StatusSuccess: {"Succeeded", "Succeeded"},
		dataset.StatusFail: {"Failed", "Stopped"}, dataset.StatusDiscard: {"Expired", "Invalid"},
	}[i.sentStatus]
	switch {
	case words[0] == "":
		return string(i.sentStatus)
	case i.draw.of(drawWord).share() < 0.2:
		return words[1]
	}
	return words[0]
}

// computeID is a record's request id as Function Compute writes it.
func (f *faulter) computeID(i *item) string {
	return strings.ToUpper(f.data.RequestID(i.Position))
}

// invocationID is the request id, except for records whose caller chose another
// invocation id.
func (f *faulter) invocationID(i *item) string {
	id := f.computeID(i)
	if i.draw.of(drawChosen).share() < 0.25 {
		return "job-" + strings.ToLower(id)
	}
	return id
}

func (f *faulter) renderStateful(q statefulQuery, name string, items []item, next statefulToken, more bool) []byte {
	b := f.beginAnswer(items, func(b []byte, i *item) []byte { return f.appendStateful(b, name, i, q.payload) })
	switch {
	case more:
		b = append(b, `,"nextToken":"`+next.String()+`"`...)
	case f.marker == "null":
		b = append(b, `,"nextToken":null`...)
	case f.marker != "int":
		b = append(b, `,"nextToken":""`...)
	}
	return append(b, '}')
}

// appendStateful appends a record, with the fields of the page's sample.
func (f *faulter) appendStateful(b []byte, name string, i *item, payload bool) []byte {
	id := f.computeID(i)
	if i.unusable == unusableObject {
		return appendNonObject(b, id, i.draw)
	}
	b = append(b, `{"functionName":`+quote(name)+`,"serviceName":"`+computeService+`","qualifier":"`+computeQualifier+
		`","invocationId":"`+f.invocationID(i)+`","status":`+quote(f.spell(i, i.computeStatus()))...)
	switch i.unusable {
	case unusableAbsent:
	case unusableEmpty:
		b = append(b, `,"requestId":""`...)
	case unusableLong:
		b = append(b, `,"requestId":"`+id+"-"+id+`"`...)
	case unusableNumber:
		b = append(b, `,"requestId":`+digits(id)...)
	default:
		b = append(b, `,"requestId":"`+id+`"`...)
	}
	raw, _ := f.texts(i)
	_, none := f.sentinel(i)
	b = append(b, `,"invocationErrorMessage":`+raw...)
	switch {
	case i.unusable == unusableStart:
		b = append(b, `,"startedTime":`+quote(impossibleStart(i.draw))...)
	case i.noStart:
		b = appendNone(b, `,"startedTime":`, none)
	default:
		b = f.appendMilliseconds(append(b, `,"startedTime":`...), i, i.start)
	}
	if i.noEnd {
		b = appendNone(b, `,"endTime":`, none)
	} else {
		b = f.appendMilliseconds(append(b, `,"endTime":`...), i, i.end)
		b = append(b, `,"durationMs":`+strconv.FormatInt((i.end-i.start)*1000, 10)+`,"destinationStatus":"Succeeded","returnPayload":"\"ok\""`...)
	}
	b = append(b, `,"alreadyRetriedTimes":0,"instanceId":"c-`+strconv.FormatUint(uint64(i.draw), 16)+`","events":[{"eventId":1,"status":"Enqueued","timestamp":`+
		strconv.FormatInt(i.queued*1000, 10)+`,"eventDetail":"{}"}]`...)
	if payload {
		b = append(b, `,"invocationPayload":"{\"n\":`+strconv.FormatInt(int64(i.Index), 10)+`}"`...)
	}
	if extras := f.extras(i); extras != "" {
		b = append(b, ","+extras...)
	}
	return append(b, '}')
}

// appendMilliseconds appends one of a record's times. The values of the fault
// "times" mean here: plain, whole seconds in ms; z, seconds as in the page's
// sample; offset, ms in a string; fraction, ms with a fraction of a second.
func (f *faulter) appendMilliseconds(b []byte, i *item, unix int64) []byte {
	ms := unix*1000 + f.fraction(i)/1000
	switch f.shape(i) {
	case "z":
		return strconv.AppendInt(b, unix, 10)
	case "offset":
		return append(strconv.AppendInt(append(b, '"'), ms, 10), '"')
	}
	return strconv.AppendInt(b, ms, 10)
}
