{{/* Names, labels, images and the security of pods, the same in every template. */}}

{{- define "rekindle.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Labels of an object; call with (list $ "component"). */}}
{{- define "rekindle.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: rekindle
{{ include "rekindle.selector" . }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What finds the pods of one component; never changed after the first release. */}}
{{- define "rekindle.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels of pods: without the chart's version, which would start all of them anew; call with (list $ "component"). */}}
{{- define "rekindle.podLabels" -}}
{{ include "rekindle.selector" . }}
app.kubernetes.io/part-of: rekindle
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Reference of an image; call with (list $ "api"). */}}
{{- define "rekindle.image" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values.images (index . 1) -}}
{{- $name := $own.repository -}}
{{- with $root.Values.image.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end -}}
{{- if $own.digest -}}
{{- printf "%s@%s" $name $own.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($own.tag | default $root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{- define "rekindle.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Pod Security restricted, for our own pods: the images name a numeric user. */}}
{{- define "rekindle.podSecurity" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "rekindle.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Name of the Secret that holds what is secret: yours, or that of the try-out. */}}
{{- define "rekindle.secretName" -}}
{{- .Values.existingSecret | default (printf "%s-tryout" (include "rekindle.fullname" .)) -}}
{{- end }}

{{/* Name of a component's service account; call with (list $ "api"). */}}
{{- define "rekindle.serviceAccount" -}}
{{- printf "%s-%s" (include "rekindle.fullname" (index . 0)) (index . 1) -}}
{{- end }}
