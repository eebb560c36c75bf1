{{/* Environment variables: what several programs share, and what is secret, one key at a time. */}}

{{/* One variable from the Secret; call with (list $ "NAME"), or (list $ "NAME" "KEY") where the key has another name. */}}
{{- define "rekindle.secretVariable" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "rekindle.secretName" (index . 0) }}
      key: {{ if gt (len .) 2 }}{{ index . 2 }}{{ else }}{{ index . 1 }}{{ end }}
{{- end }}

{{/* Keys of AWS, where no role gives them. */}}
{{- define "rekindle.awsVariables" -}}
{{- if or .Values.s3.credentialsFromSecret .Values.tryout.enabled }}
{{ include "rekindle.secretVariable" (list . "AWS_ACCESS_KEY_ID") }}
{{ include "rekindle.secretVariable" (list . "AWS_SECRET_ACCESS_KEY") }}
{{- end }}
{{- end }}

{{- define "rekindle.stripeKey" -}}
{{- if .Values.stripe.enabled }}
{{ include "rekindle.secretVariable" (list . "STRIPE_SECRET_KEY") }}
{{- end }}
{{- end }}

{{/* What everything that signs in to the database is told. */}}
{{- define "rekindle.databaseSettings" -}}
ENVIRONMENT: {{ .Values.environment | quote }}
{{- if .Values.database.iamAuth }}
DATABASE_IAM_AUTH: "true"
{{- with .Values.s3.region }}
AWS_REGION: {{ . | quote }}
{{- end }}
{{- end }}
{{- if .Values.database.rootCert.configMap }}
DATABASE_SSL_ROOT_CERT: {{ printf "/etc/rekindle/database/%s" .Values.database.rootCert.key | quote }}
{{- else if .Values.database.rootCert.system }}
DATABASE_SSL_ROOT_CERT: system
{{- end }}
{{- end }}

{{/* Where S3 and Supabase are: yours, or those of the try-out. */}}
{{- define "rekindle.bucket" -}}
{{- .Values.s3.bucket | default (ternary "rekindle" "" .Values.tryout.enabled) -}}
{{- end }}

{{- define "rekindle.endpointUrl" -}}
{{- if .Values.tryout.enabled -}}
{{- .Values.s3.endpointUrl | default (printf "http://%s-tryout:9000" (include "rekindle.fullname" .)) -}}
{{- else -}}
{{- .Values.s3.endpointUrl -}}
{{- end -}}
{{- end }}

{{- define "rekindle.publicEndpointUrl" -}}
{{- .Values.s3.publicEndpointUrl | default (ternary "http://localhost:9000" "" .Values.tryout.enabled) -}}
{{- end }}

{{- define "rekindle.supabaseUrl" -}}
{{- if .Values.tryout.enabled -}}
{{- .Values.supabase.url | default (printf "http://%s-tryout:9999" (include "rekindle.fullname" .)) -}}
{{- else -}}
{{- .Values.supabase.url -}}
{{- end -}}
{{- end }}

{{/* What web server, bridge and sweep are all told. */}}
{{- define "rekindle.commonSettings" -}}
{{ include "rekindle.databaseSettings" . }}
DATABASE_POOL_SIZE: {{ .Values.database.poolSize | quote }}
DATABASE_POOL_OVERFLOW: {{ .Values.database.poolOverflow | quote }}
S3_BUCKET: {{ include "rekindle.bucket" . | quote }}
{{- with .Values.s3.region }}
S3_REGION: {{ . | quote }}
{{- end }}
{{- with include "rekindle.endpointUrl" . }}
S3_ENDPOINT_URL: {{ . | quote }}
{{- end }}
{{- with .Values.plans }}
PLANS: {{ toJson . | quote }}
{{- end }}
{{- with .Values.topUps }}
TOP_UPS: {{ toJson . | quote }}
{{- end }}
{{- if .Values.stripe.enabled }}
STRIPE_PRICES: {{ toJson .Values.stripe.prices | quote }}
STRIPE_TOP_UP_PRICES: {{ toJson .Values.stripe.topUpPrices | quote }}
STRIPE_DEPLOYMENT: {{ printf "%s-%s" .Release.Namespace .Release.Name | replace "." "-" | trunc 63 | trimSuffix "-" | quote }}
{{- end }}
{{- end }}

{{/* The variables of a program: its settings, and over them those of `env:`. Call with (list settings env); settings are YAML. */}}
{{- define "rekindle.variables" -}}
{{- $variables := fromYaml (index . 0) -}}
{{- range $name, $value := index . 1 -}}
{{- /* Numbers as they were written: Helm's own text of 20971520 is 2.097152e+07. */ -}}
{{- $_ := set $variables $name (kindIs "string" $value | ternary $value (toJson $value)) -}}
{{- end -}}
{{- toYaml $variables -}}
{{- end }}

{{/* The authorities of the database: the volume, and where it is mounted. */}}
{{- define "rekindle.rootCertVolume" -}}
{{- with .Values.database.rootCert.configMap }}
- name: database-ca
  configMap: {name: {{ . }}}
{{- end }}
{{- end }}

{{- define "rekindle.rootCertMount" -}}
{{- if .Values.database.rootCert.configMap }}
- name: database-ca
  mountPath: /etc/rekindle/database
  readOnly: true
{{- end }}
{{- end }}

{{/* Where pods may run; call with the values of a component. */}}
{{- define "rekindle.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Pods of a component on different nodes where that is possible; call with (list $ "component"). */}}
{{- define "rekindle.nodeSpread" -}}
topologySpreadConstraints:
  - topologyKey: kubernetes.io/hostname
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "rekindle.selector" . | nindent 8 }}
{{- end }}

{{/* Keeps pods of a component up while nodes are drained; call with (list $ "component" replicas). */}}
{{- define "rekindle.podDisruptionBudget" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $budget := (index $root.Values $component).podDisruptionBudget -}}
{{- if and $budget.enabled (ge (int (index . 2)) 2) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "rekindle.fullname" $root }}-{{ $component }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "rekindle.labels" (list $root $component) | nindent 4 }}
spec:
  maxUnavailable: {{ $budget.maxUnavailable }}
  # A pod that is not ready holds up no drain.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "rekindle.selector" (list $root $component) | nindent 6 }}
{{- end }}
{{- end }}

{{/* A service account; call with (list $ "component" annotations). Tokens are mounted by pods that need one. */}}
{{- define "rekindle.serviceAccountObject" -}}
{{- $root := index . 0 -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "rekindle.serviceAccount" (list $root (index . 1)) }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "rekindle.labels" (list $root (index . 1)) | nindent 4 }}
  {{- with index . 2 }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
