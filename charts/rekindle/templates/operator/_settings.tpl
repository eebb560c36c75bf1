{{/* Service accounts that Engines may run as: the worker's, and those that the Engines of these values name. */}}
{{- define "rekindle.engineServiceAccounts" -}}
{{- $names := list (include "rekindle.serviceAccount" (list . "worker")) -}}
{{- range .Values.engines -}}
{{- with . -}}{{- with .serviceAccountName -}}{{- $names = append $names . -}}{{- end -}}{{- end -}}
{{- end -}}
{{- $names | uniq | join "," -}}
{{- end }}

{{/* What the operator is told. */}}
{{- define "rekindle.operatorSettings" -}}
REKINDLE_OPERATOR_NAMESPACES: {{ .Release.Namespace | quote }}
REKINDLE_OPERATOR_LOG_LEVEL: {{ .Values.operator.logLevel }}
REKINDLE_OPERATOR_ALLOWED_BUCKETS: {{ .Values.operator.allowedBuckets | default (list (include "rekindle.bucket" .)) | join "," | quote }}
REKINDLE_OPERATOR_ALLOWED_SERVICE_ACCOUNTS: {{ include "rekindle.engineServiceAccounts" . | quote }}
{{- if not (kindIs "invalid" .Values.operator.maxRunning) }}
REKINDLE_OPERATOR_MAX_RUNNING: {{ toJson .Values.operator.maxRunning | quote }}
{{- end }}
{{- end }}
