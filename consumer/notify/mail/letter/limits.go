package letter

const (
	// maxSubjectName and maxSubject bound the subject, in characters: a mailbox
	// shows some 80, and a hostile name must not push the rest out of sight.
	maxSubjectName = 60
	maxSubject     = 200
	// maxField is the longest value in the list of a body and in a header, where
	// RFC 5322 ends a line at 998 bytes.
	maxField = 200
	// maxSentence bounds the first sentence of a digest.
	maxSentence = 500
	// maxReason is the longest reason in a line of a table.
	maxReason = 120
	// maxParagraph and maxParagraphLine bound the annotation description.
	maxParagraph     = 20
	maxParagraphLine = 500
	// maxLogs is how much of all logs together goes into a mail, in bytes, maxLog
	// how much of one log. The bridge sends 4 KiB of each unless told otherwise.
	maxLogs = 64 << 10
	maxLog  = maxLogs / 2
	// maxLogAlerts is how many alerts of a digest show their logs, maxDigestLog
	// how much of each log.
	maxLogAlerts = 5
	maxDigestLog = 4 << 10
)
