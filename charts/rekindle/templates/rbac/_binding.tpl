{{/* Gives the Role of a component to its service account; call with (list $ "component"). */}}
{{- define "rekindle.roleBinding" -}}
{{- $root := index . 0 -}}
{{- $name := include "rekindle.serviceAccount" . -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "rekindle.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ $root.Release.Namespace }}}
{{- end }}
