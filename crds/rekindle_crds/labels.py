"""Labels that Rekindle puts on its objects."""

from enum import StrEnum

from rekindle_crds.meta import GROUP


class Label(StrEnum):
    """Label keys, for selection with kubectl and for the operator's watches."""

    MANAGED_BY = "app.kubernetes.io/managed-by"
    """Always `rekindle` on the operator's Jobs and Pods; the operator watches no other."""
    JOB_KIND = f"{GROUP}/job-kind"
    """Kind of the custom resource that a Job or Pod works for."""
    JOB_NAME = f"{GROUP}/job-name"
    """Name of the custom resource that a Job or Pod works for, cut to 63 characters: for people, not for look-ups."""
    JOB_UID = f"{GROUP}/job-uid"
    """Uid of the custom resource that a Job or Pod works for."""
    RUN = f"{GROUP}/run"
    """Number of the run that a Job or Pod belongs to."""
    ENGINE = f"{GROUP}/engine"
    """Name of the Engine that a Job or Pod uses, cut to 63 characters."""
    TEMPLATE = f"{GROUP}/engine-template"
    """Annotation of a Job: stands for all that its pods have of the Engine, to tell when the Engine was changed."""
    OWNER = f"{GROUP}/owner"
    """Who asked: admission is fair between owners. The API sets it to its user id."""
    PHOTO = f"{GROUP}/photo"
    """The API's photo id."""
    ATTEMPT = f"{GROUP}/attempt"
    """The API's attempt id."""


MANAGED_BY_VALUE = "rekindle"
