{{/* How the pods of every Engine reach S3, as a list of variables. */}}
{{- define "rekindle.engineVariables" -}}
{{- with include "rekindle.endpointUrl" . }}
- {name: AWS_ENDPOINT_URL_S3, value: {{ . | quote }}}
{{- end }}
{{- with .Values.s3.region | default (ternary "us-east-1" "" .Values.tryout.enabled) }}
- {name: AWS_REGION, value: {{ . | quote }}}
- {name: AWS_DEFAULT_REGION, value: {{ . | quote }}}
{{- end }}
{{- include "rekindle.awsVariables" . }}
{{- end }}
